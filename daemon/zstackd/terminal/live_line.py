"""One line on a terminal that says what is being done, and is gone afterwards."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from zstackd.runs.progress import Say, unheard


@contextmanager
def live_line(of: str, *, shown: bool = True) -> Iterator[Say]:
    """Yield what shows on standard error what is done `of` something; silent but on a terminal."""
    if not (shown and sys.stderr.isatty()):
        yield unheard
        return
    from rich.console import Console  # noqa: PLC0415 - costs start-up, wanted on a terminal only
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    # What else goes to standard error stands above the line; standard output is left alone.
    with Live(
        console=Console(stderr=True), auto_refresh=False, transient=True, redirect_stdout=False
    ) as live:

        def say(words: str) -> None:
            line = Text(f"{of}: {words}", no_wrap=True, overflow="ellipsis")
            live.update(line, refresh=True)

        yield say
