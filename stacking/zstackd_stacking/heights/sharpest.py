"""Height of the strongest focus of each place, as pictures are composed by."""

from typing import Final

import numpy as np

from zstackd_config.errors import StackError
from zstackd_stacking.filling import fill
from zstackd_stacking.heights.peaks import Peaks, in_order
from zstackd_stacking.types import FloatMap, as_floats

_NOISE_CONTRAST: Final = 1.9
_SURE_CONTRAST: Final = 3.3
"""Noise alone makes the best plane stand out of the least one by up to the first."""


class SharpestPlanes:
    """Strongest focus from planes in outward order, at the size of the evidence.

    Unlike `DepthMap` it does not ask whether what is strongest is a veil, and keeps every edge
    where the evidence has it.
    """

    def __init__(self) -> None:
        self._heights: dict[int, float] = {}
        self._peaks: Peaks | None = None

    def add(self, evidence: FloatMap, *, index: int, height: float) -> None:
        """Take in the log evidence of one plane at `height`; plane order is that of `index`."""
        self._heights[index] = height
        if self._peaks is None:
            self._peaks = Peaks.of_reference(index, evidence)
        else:
            self._peaks.add(evidence, index)

    def heights(self) -> tuple[FloatMap, FloatMap]:
        """Height, and how surely it is more than noise, 0 to 1; unsure places are filled in."""
        if self._peaks is None:
            raise StackError("no plane was added: a height map needs at least 1")
        span = _SURE_CONTRAST - _NOISE_CONTRAST
        sure = as_floats(np.clip((self._peaks.contrast() - _NOISE_CONTRAST) / span, 0, 1))
        return fill(self._peaks.heights(*in_order(self._heights)), sure), sure
