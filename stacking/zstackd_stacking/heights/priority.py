"""Which of several planes in focus at one place counts: the first one from a preferred side.

Going through the planes from that side, each place's focus evidence climbs a hill wherever
something comes into focus. Once a hill has been left that is high enough to be a surface rather
than the blur of another one, all that follows is pressed below its top.
"""

from typing import Final

import numpy as np

from zstackd_stacking.types import FloatMap, as_floats

SIGNIFICANT_LOG_RATIO: Final = 2.6
"""A hill counts where the strongest plane has up to 13 times its energy."""

VALLEY_LOG_RATIO: Final = 0.9
"""Between two surfaces the energy falls to 40 % of the first one's or less."""


NOISE_LOG_RATIO: Final = 2.5
"""A hill counts where it stands higher above the floor of the evidence than noise alone does."""


class FirstHill:
    """Sees the log evidence of planes from the preferred side on; `strongest` is its maximum.

    `floor` is the evidence that noise alone is held to.
    """

    def __init__(self, strongest: FloatMap, floor: float) -> None:
        least = np.float32(floor + NOISE_LOG_RATIO)
        self._bound = np.maximum(strongest - np.float32(SIGNIFICANT_LOG_RATIO), least)
        self._top = np.full(strongest.shape, -np.inf, np.float32)
        self._left = np.zeros(strongest.shape, bool)

    def pressed(self, focus: FloatMap) -> FloatMap:
        """The evidence of the next plane, below the hill's top where that was left behind."""
        ceiling = self._top - np.float32(VALLEY_LOG_RATIO)
        seen = np.where(self._left, np.minimum(focus, ceiling), focus)
        np.maximum(self._top, seen, out=self._top)
        ceiling = self._top - np.float32(VALLEY_LOG_RATIO)
        self._left |= (self._top >= self._bound) & (focus <= ceiling)
        return as_floats(seen)
