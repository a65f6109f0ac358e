"""Logging, set up by the entry points alone."""

import logging
import sys
from pathlib import Path
from typing import TextIO

from zstackd.system.journald import JournalFormatter, is_journal
from zstackd_config.lines import one_line


def configure_logging(*, debug: bool) -> None:
    """Send messages of INFO (DEBUG with `debug`) and above to stderr."""
    form = "%(levelname)s %(name)s: %(message)s" if debug else "%(message)s"
    handler = _StderrHandler(sys.stderr)
    handler.addFilter(_with_printable_paths)
    handler.setFormatter((JournalFormatter if is_journal(sys.stderr) else logging.Formatter)(form))
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO, handlers=[handler], force=True
    )
    for talkative in ("httpx", "httpcore", "watchdog"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    # tifffile tells of every oddity of a damaged file before it gives up; our one line is enough.
    logging.getLogger("tifffile").setLevel(logging.NOTSET if debug else logging.CRITICAL)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at the moment: above the bars while a terminal has some."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _with_printable_paths(record: logging.LogRecord) -> bool:
    """Let no path among a message's arguments break its line or colour the terminal."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            one_line(str(value)) if isinstance(value, Path) else value for value in record.args
        )
    return True
