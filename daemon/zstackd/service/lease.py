"""Who has the rig: one at a time; whoever only looks gives it back at once."""

import threading
from typing import Final, Literal

from zstackd_config.errors import InputError

GLIMPSE_S: Final = 30.0
"""How long a glimpse is waited for: more than a frame takes, and the exposure before it."""

MOMENT_S: Final = 2.0
"""How long a glimpse waits for who has the rig just for a moment, to see whether all is well."""


class RigBusy(InputError):
    """Something else uses the rig."""


class Lease:
    """Lent to one user at a time; safe from any thread.

    `take` is for whoever works with the rig and may keep it for long: a second one is refused. A
    `glimpse` takes a moment, so the others wait for its end, and no other glimpse comes before
    them.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held_by: Literal["user", "glimpse"] | None = None
        self._awaited = 0

    def take(self, patience_s: float = 0.0) -> bool:
        """Take the rig, after a glimpse where there is one; return whether it was to be had.

        Another user is waited for for `patience_s` at most.
        """
        with self._changed:
            self._awaited += 1
            self._changed.wait_for(lambda: self._held_by != "glimpse", GLIMPSE_S)
            self._changed.wait_for(lambda: self._held_by is None, patience_s)
            self._awaited -= 1
            return self._taken("user")

    def glimpse(self, patience_s: float = MOMENT_S) -> bool:
        """Take the rig for a moment, where nobody has it or waits; return whether that is so."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._held_by or self._awaited), patience_s)
            return not self._awaited and self._taken("glimpse")

    def take_at_last(self) -> None:
        """Take the rig, however long another one has it."""
        with self._changed:
            self._changed.wait_for(lambda: self._held_by is None)
            self._held_by = "user"

    def give_back(self) -> None:
        """Let the next one have it."""
        with self._changed:
            self._held_by = None
            self._changed.notify_all()

    def _taken(self, by: Literal["user", "glimpse"]) -> bool:
        if self._held_by is not None:
            return False
        self._held_by = by
        return True
