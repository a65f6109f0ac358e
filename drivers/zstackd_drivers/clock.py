"""Time as the rig sees it: real on hardware, scaled on the simulated rig."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Rig time; injected, so that a simulated rig can run faster than the wall clock."""

    scale: float

    def monotonic_ns(self) -> int:
        """Return rig time in nanoseconds; never goes back."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for `event` at most `seconds` of rig time; return whether it is set."""
        ...


class SystemClock:
    """The wall: one rig second is one second."""

    scale = 1.0

    def monotonic_ns(self) -> int:
        """Return the system's monotonic time in nanoseconds (the time base of libcamera)."""
        return time.monotonic_ns()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for `event` at most `seconds`; return whether it is set."""
        return event.wait(max(0.0, seconds))


class ScaledClock:
    """Rig time that runs `scale` times as fast as the wall clock."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def monotonic_ns(self) -> int:
        """Return scaled monotonic time in nanoseconds."""
        return int(time.monotonic_ns() * self.scale)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for `event` at most `seconds` of rig time; return whether it is set."""
        return event.wait(max(0.0, seconds) / self.scale)
