"""What a Sangaboard has said so far, other than replies."""

from zstackd_drivers.sangaboard.protocol import END_STOPS, HIT, VERSION
from zstackd_drivers.serial.hearing import Hearing

_NONE = (0, 0)


class SangaboardHearing(Hearing):
    """Version, end stops, and what they met.

    Its greeting is its version, so the version is a restart where nobody asked for it. While
    `homing` an end stop is no surprise; `hits` counts them.
    """

    def forget(self) -> None:
        """Forget firmware and end stops."""
        self.firmware = _NONE
        self.end_stops: frozenset[str] = frozenset()
        self.homing = False
        self.hits = 0

    def understand(self, line: str) -> None:
        """Take in one line that is no reply."""
        if match := VERSION.fullmatch(line):
            self.version, self.firmware = line, (int(match[1]), int(match[2]))
            self.greeted()
        elif match := END_STOPS.fullmatch(line):
            self.end_stops = frozenset(match[1].split())
        elif match := HIT.fullmatch(line):
            self._hit(match[1])
        else:
            self.wonder(line)

    def _hit(self, which: str) -> None:
        self.hits += 1
        if not self.homing:
            self.unexpected(f"end stop {which} was hit")
