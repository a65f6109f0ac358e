"""Who has the rig: one at a time; whoever only looks gives it back at once."""

import threading
from typing import Final

from zstackd_config.errors import InputError

GLIMPSE_S: Final = 30.0
"""How long a glimpse is waited for: more than a frame takes, and the exposure before it."""


class RigBusy(InputError):
    """Something else uses the rig."""


class Lease:
    """Lent to one user at a time; safe from any thread.

    `take` is for whoever works with the rig and may keep it for long: a second one is refused. A
    `glimpse` takes a moment, so the others wait for its end, and no other glimpse comes before
    them.
    """

    def __init__(self) -> None:
        self._held = threading.Lock()
        self._guard = threading.Lock()
        self._glimpsed = False
        self._awaited = 0

    def take(self) -> bool:
        """Take the rig, after a glimpse where there is one; return whether it was to be had."""
        with self._guard:
            patience_s = GLIMPSE_S if self._glimpsed else 0.0
            self._awaited += 1
        try:
            return self._held.acquire(timeout=patience_s)
        finally:
            with self._guard:
                self._awaited -= 1

    def glimpse(self) -> bool:
        """Take the rig for a moment, where nobody has it or waits; return whether that is so."""
        with self._guard:
            if self._awaited or not self._held.acquire(blocking=False):
                return False
            self._glimpsed = True
            return True

    def take_at_last(self) -> None:
        """Take the rig, however long another one has it."""
        self._held.acquire()

    def give_back(self) -> None:
        """Let the next one have it."""
        with self._guard:
            self._glimpsed = False
            self._held.release()
