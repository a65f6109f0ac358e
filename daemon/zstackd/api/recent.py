"""The newest log messages, kept in memory for clients that cannot read the system's journal."""

import logging
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

KEPT: Final = 500
_MOST_CHARACTERS: Final = 2000


@dataclass(frozen=True, slots=True)
class RecentMessage:
    """One log message."""

    at: datetime
    level: str
    text: str


class RecentMessages(logging.Handler):
    """Keeps the newest messages of INFO and above."""

    def __init__(self, kept: int = KEPT) -> None:
        super().__init__(logging.INFO)
        self._guard = threading.Lock()
        self._messages: deque[RecentMessage] = deque(maxlen=kept)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message, and drop the oldest where there are too many."""
        text = record.getMessage()[:_MOST_CHARACTERS]
        at = datetime.fromtimestamp(record.created, UTC)
        with self._guard:
            self._messages.append(RecentMessage(at, record.levelname.lower(), text))

    def all(self) -> tuple[RecentMessage, ...]:
        """Return what is kept, oldest first."""
        with self._guard:
            return tuple(self._messages)
