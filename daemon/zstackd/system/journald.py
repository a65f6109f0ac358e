"""Log lines with the priorities that systemd's journal understands.

The journal takes the level of a line from a prefix such as `<4>` (sd-daemon(3)). Every line of a
message becomes an entry of its own there, so each gets the prefix: a traceback keeps its level,
and no text that a user chose can put a level of its own at the start of a line.
"""

import logging
import os
from collections.abc import Mapping
from typing import TextIO

_DEBUG, _INFO, _WARNING, _ERROR, _CRITICAL = 7, 6, 4, 3, 2
_PRIORITIES = (
    (logging.CRITICAL, _CRITICAL),
    (logging.ERROR, _ERROR),
    (logging.WARNING, _WARNING),
    (logging.INFO, _INFO),
)


def priority(level: int) -> int:
    """Return the syslog priority (7 debug … 2 critical) of a logging level."""
    return next((number for least, number in _PRIORITIES if level >= least), _DEBUG)


class JournalFormatter(logging.Formatter):
    """Formats as usual, and puts the priority before every line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's lines, each with its priority."""
        prefix = f"<{priority(record.levelno)}>"
        lines = super().format(record).splitlines() or [""]
        return "\n".join(prefix + line for line in lines)


def is_journal(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether `stream` leads to systemd's journal, by `JOURNAL_STREAM` (systemd.exec(5)).

    Only the file itself proves it: a program started by hand may inherit the variable.
    """
    named = environment.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"
