"""Errors of commands that say everything in one line, whatever the files are called."""

from collections.abc import Iterator
from contextlib import contextmanager

from zstackd_config.errors import ZstackdError
from zstackd_config.lines import one_line


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Write out what would break the line of an error that leaves the block."""
    try:
        yield
    except ZstackdError as error:
        error.args = (one_line(str(error)),)
        raise
