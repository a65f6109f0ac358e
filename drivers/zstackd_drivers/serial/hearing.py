"""What a controller has said so far, other than replies, whatever its dialect."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

_log = logging.getLogger(__name__)
_STRANGE_KEPT = 4


class Hearing(ABC):
    """Filled by the reader thread under the owner's condition.

    While `expecting_reset` a greeting or an alarm is no surprise; otherwise it is a disturbance:
    `on_disturbance` hears why the position is no longer known. `source` names the controller.
    """

    def __init__(self, on_disturbance: Callable[[str], None]) -> None:
        self._on_disturbance = on_disturbance
        self.source = ""
        self.begin()

    def begin(self) -> None:
        """Forget everything: another controller may be at the other end."""
        self.expecting_reset = True
        self.disturbance: str | None = None
        self.version = ""
        self.lines = 0
        self.reports = 0
        self.greetings = 0
        self.strange: list[str] = []
        self.forget()

    def take(self, line: str) -> None:
        """Take in one line that is no reply."""
        self.lines += 1
        self.understand(line)

    def disturb(self, why: str) -> None:
        """Note why the position is no longer known; the first reason stands."""
        self.disturbance = self.disturbance or why
        self._on_disturbance(why)

    @abstractmethod
    def forget(self) -> None:
        """Forget what only this dialect keeps."""

    @abstractmethod
    def understand(self, line: str) -> None:
        """Take in one line in the controller's own dialect."""

    def greeted(self) -> None:
        """Note the words that a controller says only when it starts."""
        self.greetings += 1
        self.unexpected("it restarted by itself")

    def unexpected(self, what: str) -> None:
        """Note what must not happen but in a reset that was asked for."""
        if not self.expecting_reset:
            self.disturb(f"{self.source}: {what}")

    def wonder(self, line: str) -> None:
        """Keep a line that tells nothing, but may tell a person what is at the other end."""
        _log.debug("%s: %r", self.source, line)
        # The first lines tell best.
        if len(self.strange) < _STRANGE_KEPT:
            self.strange.append(line)
