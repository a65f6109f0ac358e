"""Where the controller is: one named port, or the one USB serial port that answers rightly."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from zstackd_config.errors import HardwareError
from zstackd_drivers.errors import LinkError

_PATTERNS = ("serial/by-id/*", "ttyUSB*", "ttyACM*")
_MOST_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class NamedPort:
    """The port that the rig names."""

    path: str

    def find(self) -> str:
        """Return the device path as it is written in the rig."""
        return self.path


@dataclass(frozen=True, slots=True)
class OnlyPort:
    """`focus.port: auto`: the one USB serial port with the right controller.

    `probe` returns the identity of what is on a port, or raises why it is not the right one.
    A single candidate is not probed, for whoever opens it will ask it anyway.
    """

    kind: str
    candidates: Callable[[], Sequence[str]]
    probe: Callable[[str], str]

    def find(self) -> str:
        """Return the device path; raises LinkError where none, or more than one, answers."""
        paths = self.candidates()
        if not paths:
            raise LinkError(
                "no USB serial port is there (focus.port: auto): plug the controller in, or name "
                "its port in focus.port"
            )
        if len(paths) == 1:
            return paths[0]
        return self._the_right_one(paths)

    def _the_right_one(self, paths: Sequence[str]) -> str:
        with ThreadPoolExecutor(min(len(paths), _MOST_AT_ONCE)) as pool:
            objections = dict(zip(paths, pool.map(self._objection, paths), strict=True))
        right = [path for path, objection in objections.items() if objection is None]
        if len(right) == 1:
            return right[0]
        if right:
            raise LinkError(
                f"{len(right)} controllers answer as {self.kind} ({', '.join(right)}): name the "
                "one to use in focus.port"
            )
        reasons = "; ".join(str(objection) for objection in objections.values())
        raise LinkError(f"none of {len(paths)} USB serial ports is {self.kind}: {reasons}")

    def _objection(self, path: str) -> str | None:
        try:
            self.probe(path)
        except HardwareError as error:
            return str(error)
        return None


def usb_serial_ports(devices: Path = Path("/dev")) -> list[str]:
    """Return each USB serial port once, by its stable name where it has one."""
    found: dict[Path, str] = {}
    for pattern in _PATTERNS:
        for path in sorted(devices.glob(pattern)):
            found.setdefault(path.resolve(), str(path))
    return sorted(found.values())
