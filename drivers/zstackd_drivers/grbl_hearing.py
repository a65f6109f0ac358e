"""What a GRBL controller has said so far, other than replies."""

import logging
from collections.abc import Callable

from zstackd_drivers.grbl_protocol import Alarm, Banner, Message, Setting, Status, parse

_log = logging.getLogger(__name__)
_CRITICAL_ALARMS = {1, 2}
_STRANGE_KEPT = 4


class Hearing:
    """Filled by the reader thread under the owner's condition.

    While `expecting_reset` a banner or an alarm is no surprise; otherwise it is a disturbance:
    `on_disturbance` hears why the position is no longer known.
    """

    def __init__(self, port: str, on_disturbance: Callable[[str], None]) -> None:
        self._port = port
        self._on_disturbance = on_disturbance
        self.begin()

    def begin(self) -> None:
        """Forget everything: another controller may be at the other end."""
        self.expecting_reset = True
        self.disturbance: str | None = None
        self.critical = False
        self.version = ""
        self.settings: dict[int, float] = {}
        self.lines = 0
        self.reports = 0
        self.banners = 0
        self.strange: list[str] = []
        self._status: Status | None = None
        self._offset: float | None = None

    def take(self, line: str) -> None:
        """Take in one pushed line."""
        self.lines += 1
        match parse(line):
            case Status() as status:
                self.reports += 1
                self._status = status
                self._offset = self._offset if status.offset is None else status.offset
            case Setting(number, value):
                self.settings[number] = value
            case Banner(version):
                self._greeted(version)
            case Alarm(code) as alarm:
                self.critical = code in _CRITICAL_ALARMS
                self._unexpected(alarm.reason)
            case Message(text) if text.startswith("VER:"):
                self.version = text
            case _:
                self._wonder(line)
                _log.debug("%s: %r", self._port, line)

    def disturb(self, why: str) -> None:
        """Note why the position is no longer known; the first reason stands."""
        self.disturbance = self.disturbance or why
        self._on_disturbance(why)

    def status(self) -> tuple[str, float] | None:
        """Return the last report's state and machine position; None where it does not tell."""
        status = self._status
        if status is None:
            return None
        if status.machine is not None:
            return status.state, status.machine
        if status.work is None or self._offset is None:
            return None
        return status.state, status.work + self._offset

    def _greeted(self, version: str) -> None:
        self.banners += 1
        self.critical, self._offset = False, None
        if not version.startswith("1.1"):
            self._wonder(f"Grbl {version}")
        self._unexpected("it restarted by itself")

    def _wonder(self, line: str) -> None:
        # The first lines tell best what is at the other end.
        if len(self.strange) < _STRANGE_KEPT:
            self.strange.append(line)

    def _unexpected(self, what: str) -> None:
        if not self.expecting_reset:
            self.disturb(f"GRBL on {self._port}: {what}")
