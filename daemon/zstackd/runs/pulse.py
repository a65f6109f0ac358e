"""Signs of life of the essential threads, by which a watchdog knows that work goes on."""

import math
import threading
import time
from collections.abc import Callable
from typing import Final

PATIENCE_S: Final = 60.0
"""The longest that any one step of work may take beyond what is known of it."""


class Pulse:
    """One thread's sign of life: each beat says until when the next one will come."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._beaten_s = now_s()
        self._due_s = self._beaten_s + PATIENCE_S

    def beat(self, *, expected_s: float = 0.0) -> None:
        """Say that a step of work begins that takes `expected_s`, or little more than that."""
        self._beaten_s = self._now_s()
        self._due_s = self._beaten_s + expected_s + PATIENCE_S

    def rest(self) -> None:
        """Say that the thread has nothing to do but wait for another one."""
        self._beaten_s = self._now_s()
        self._due_s = math.inf

    @property
    def age_s(self) -> float:
        """Seconds since the last beat."""
        return self._now_s() - self._beaten_s

    @property
    def late_s(self) -> float:
        """Seconds since a beat was due; negative while all is well."""
        return self._now_s() - self._due_s


class Pulses:
    """The pulses of all threads without which the service is not alive."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pulses: dict[str, Pulse] = {}

    def of(self, name: str) -> Pulse:
        """Return the pulse of this thread, which counts as essential from now on."""
        with self._lock:
            return self._pulses.setdefault(name, Pulse())

    def end(self, name: str) -> None:
        """Let a thread end that was meant to."""
        with self._lock:
            self._pulses.pop(name, None)

    def ages_s(self) -> dict[str, float]:
        """Return the seconds since each thread's last beat."""
        with self._lock:
            return {name: pulse.age_s for name, pulse in self._pulses.items()}

    def overdue_s(self) -> dict[str, float]:
        """Return the threads that should have beaten, with the seconds they are late."""
        with self._lock:
            late = {name: pulse.late_s for name, pulse in self._pulses.items()}
        return {name: late_s for name, late_s in late.items() if late_s > 0}
