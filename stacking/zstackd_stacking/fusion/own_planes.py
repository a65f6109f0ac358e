"""Each place as its own plane shows it: the one in which its own detail is sharpest.

Focus evidence is pooled, so that a strong edge rules the places around it, too. Its least value
around a place gives these back to their own planes.
"""

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.fusion.blur_growth import BlurGrowth
from zstackd_stacking.pyramid import band, halved, reduced
from zstackd_stacking.types import FloatMap, as_floats

_WHOLE: Final = 0.999
_NOT_SEEN: Final = np.float32(-np.inf)
_AROUND: Final = np.ones((3, 3), np.uint8)


def _nothing() -> FloatMap:
    return np.empty((0, 0), np.float32)


@dataclass(slots=True)
class OwnPlanes:
    """What is kept of each place at a quarter of the size, (h, w), as frames come.

    `focus`: log evidence in its own plane. `index`: that of the plane. `light`: luminance there;
    `darkest` and `brightest`: the range of luminance in all planes.
    """

    focus: FloatMap = field(default_factory=_nothing)
    index: NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 0), np.int32))
    light: FloatMap = field(default_factory=_nothing)
    darkest: FloatMap = field(default_factory=_nothing)
    brightest: FloatMap = field(default_factory=_nothing)
    growth: BlurGrowth = field(default_factory=BlurGrowth)

    def add(self, focus: FloatMap, half: FloatMap, index: int) -> None:
        """Take in one more frame: its `own_focus` and its luminance at half size."""
        quarter = reduced(half)
        self.growth.add(focus, band(quarter, reduced(quarter)), index)
        light = halved(half)
        if not self.focus.size:
            self.focus, self.light = focus, light
            self.darkest, self.brightest = light.copy(), light.copy()
            self.index = np.full(focus.shape, index, np.int32)
            return
        self._widen(light, focus)
        better = (focus > self.focus).view(np.uint8)
        cv2.copyTo(focus, better, self.focus)
        cv2.copyTo(light, better, self.light)
        cv2.copyTo(np.full_like(self.index, index), better, self.index)

    def _widen(self, light: FloatMap, focus: FloatMap) -> None:
        """Let the range of luminance contain a frame's, where that has pixels."""
        hidden = np.isinf(focus)
        if hidden.any():
            np.copyto(light, self.light, where=hidden)
        cv2.min(self.darkest, light, dst=self.darkest)
        cv2.max(self.brightest, light, dst=self.brightest)


def own_focus(log_focus: FloatMap, coverage: FloatMap | None) -> FloatMap:
    """Log evidence of each place's own detail, at half the size of what is given.

    Minus infinity where `coverage` (0 to 1) tells that the frame has no pixels; None: it has all.
    """
    focus = as_floats(cv2.erode(halved(log_focus), _AROUND))
    if coverage is not None:
        focus[halved(coverage) < _WHOLE] = _NOT_SEEN
    return focus
