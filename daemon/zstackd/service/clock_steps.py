"""Notices when the clock is set, as on a computer without one of its own once it has a network."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

LEAST_S: Final = 10.0
"""What is less is drift, or a clock that is brought back slowly during a long run."""


_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str | None:
    """Return what names the time since the computer was started; None where nothing does."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return None


def elapsed_s() -> float:
    """Return a time in seconds that nobody sets, and that goes on while the computer sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ClockSteps:
    """Compares the clock with one that nobody sets."""

    def __init__(
        self,
        wall_s: Callable[[], float] = time.time,
        elapsed_s: Callable[[], float] = elapsed_s,
    ) -> None:
        self._wall_s = wall_s
        self._elapsed_s = elapsed_s
        self._ahead_s = wall_s() - elapsed_s()

    def step_s(self) -> float:
        """Return by how many seconds the clock was set forward since the last call; 0: it was not.

        Negative where it was set back.
        """
        ahead_s = self._wall_s() - self._elapsed_s()
        step_s, self._ahead_s = ahead_s - self._ahead_s, ahead_s
        return step_s if abs(step_s) >= LEAST_S else 0.0
