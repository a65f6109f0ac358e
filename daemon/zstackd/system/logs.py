"""Logging, set up by the entry points alone."""

import logging
import sys

from zstackd.system.journald import JournalFormatter, is_journal


def configure_logging(*, debug: bool) -> None:
    """Send messages of INFO (DEBUG with `debug`) and above to stderr."""
    form = "%(levelname)s %(name)s: %(message)s" if debug else "%(message)s"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter((JournalFormatter if is_journal(sys.stderr) else logging.Formatter)(form))
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO, handlers=[handler], force=True
    )
    for talkative in ("httpx", "httpcore", "watchdog"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    # tifffile tells of every oddity of a damaged file before it gives up; our one line is enough.
    logging.getLogger("tifffile").setLevel(logging.NOTSET if debug else logging.CRITICAL)
