"""What a GRBL controller has said so far, other than replies."""

from zstackd_drivers.grbl.protocol import Alarm, Banner, Message, Setting, Status, parse
from zstackd_drivers.serial.hearing import Hearing

_ASKS_RESET = "MSG:Reset to continue"


class GrblHearing(Hearing):
    """Status reports, alarms, settings and greetings.

    `options` are the letters that it has for its build, None where it told none. `asks_reset`: the
    controller is deaf to everything but a reset, and has begun to heed that.
    """

    def forget(self) -> None:
        """Forget status and settings."""
        self.asks_reset = False
        self.options: str | None = None
        self.settings: dict[int, float] = {}
        self._status: Status | None = None
        self._offset: float | None = None

    def understand(self, line: str) -> None:
        """Take in one pushed line."""
        match parse(line):
            case Status() as status:
                self.reports += 1
                self._status = status
                self._offset = self._offset if status.offset is None else status.offset
            case Setting(number, value):
                self.settings[number] = value
            case Banner(version):
                self._start(version)
            case Alarm() as alarm:
                self.unexpected(alarm.reason)
            case Message(text) if text.startswith("VER:"):
                self.version = text
            case Message(text) if text.startswith("OPT:"):
                self.options = text.removeprefix("OPT:").partition(",")[0]
            case Message(text) if text == _ASKS_RESET:
                self.asks_reset = True
            case _:
                self.wonder(line)

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

    def _start(self, version: str) -> None:
        self._offset = None
        if not version.startswith("1.1"):
            self.wonder(f"Grbl {version}")
        self.greeted()
