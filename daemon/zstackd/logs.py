"""Logging, set up by the entry points alone."""

import logging


def configure_logging(*, debug: bool) -> None:
    """Send messages of INFO (DEBUG with `debug`) and above to stderr."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO,
        format="%(levelname)s %(name)s: %(message)s" if debug else "%(message)s",
        force=True,
    )
    # tifffile tells of every oddity of a damaged file before it gives up; our one line is enough.
    logging.getLogger("tifffile").setLevel(logging.NOTSET if debug else logging.CRITICAL)
