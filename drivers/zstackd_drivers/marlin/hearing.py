"""What a Marlin controller has said so far, other than replies."""

import time
from collections.abc import Callable, Mapping

from zstackd_drivers.marlin.protocol import (
    Busy,
    EndStops,
    Failure,
    Position,
    Refusal,
    Setting,
    Start,
    Version,
    parse,
)
from zstackd_drivers.serial.hearing import Hearing


class MarlinHearing(Hearing):
    """Position, settings, failures and greetings.

    `refusal` is what it said last of a command that it did not execute; the owner clears it.
    `busy_until` is when it must have given its next sign of life, by `time.monotonic`.
    """

    def __init__(self, on_disturbance: Callable[[str], None], *, busy_s: float) -> None:
        self._busy_s = busy_s
        super().__init__(on_disturbance)

    @property
    def tells_busy(self) -> bool:
        """Whether it gives signs of life while busy: M113, which builds without them know not."""
        return self.settings.get("M113", {}).get("S", 0.0) > 0

    def forget(self) -> None:
        """Forget position and settings."""
        self.position: Position | None = None
        self.end_stops: EndStops | None = None
        self.settings: dict[str, Mapping[str, float]] = {}
        self.refusal = ""
        self.busy_until = 0.0

    def understand(self, line: str) -> None:
        """Take in one pushed line."""
        match parse(line):
            case Position() as position:
                self.reports += 1
                self.position = position
            case Busy():
                self.busy_until = time.monotonic() + self._busy_s
            case Setting(command, words):
                # Builds with several extruders tell more of them on lines of their own.
                self.settings[command] = {**self.settings.get(command, {}), **words}
            case EndStops() as end_stops:
                self.end_stops = end_stops
            case Version(text):
                self.version = text
            case Failure(text):
                self.wonder(line)
                self.unexpected(text)
            case Refusal(text):
                self.refusal = text
            case Start():
                self.wonder(line)
                self.greeted()
            case _:
                self.wonder(line)
