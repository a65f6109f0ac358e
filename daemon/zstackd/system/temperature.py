"""The computer's temperature, as the kernel tells it."""

from pathlib import Path
from typing import Final

ZONES: Final = Path("/sys/class/thermal")
_MILLI: Final = 1000.0


def temperature_c(zones: Path = ZONES) -> float | None:
    """Return the temperature of the hottest zone in °C; None where the kernel knows none."""
    found = [
        degrees
        for zone in zones.glob("thermal_zone*")
        if (degrees := _read(zone / "temp")) is not None
    ]
    return max(found, default=None)


def _read(path: Path) -> float | None:
    try:
        return int(path.read_text(encoding="ascii")) / _MILLI
    except (OSError, ValueError):
        return None
