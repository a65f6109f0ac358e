"""When to try again to open the rig: soon at first, then seldom, and as soon as a device comes."""

import time
from typing import Final

from zstackd_config.rig import Rig
from zstackd_drivers.presence import presence

PAUSES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses between attempts to open what is not there; the last one is kept."""


class Retries:
    """The attempts since the rig was last open."""

    def __init__(self) -> None:
        self._failures = 0
        self._again_at_s = 0.0
        self._seen: object = None

    def due(self, rig: Rig) -> bool:
        """Return whether to try now: the pause is over, or a device came or went since."""
        if time.monotonic() >= self._again_at_s:
            return True
        if presence(rig) == self._seen:
            return False
        self._failures = 0  # its node may be there before it answers, or may be opened
        return True

    def begin(self, rig: Rig) -> None:
        """Note what is there before an attempt."""
        self._seen = presence(rig)

    def failed(self) -> None:
        """Note a failure: the next attempt comes after a pause."""
        self._again_at_s = time.monotonic() + PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
        self._failures += 1

    def reset(self) -> None:
        """Try at once, and patiently again after that."""
        self._failures, self._again_at_s = 0, 0.0
