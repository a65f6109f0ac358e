"""Log focus evidence of placed frames on the reference's grid, and the picture of what is best."""

from typing import Final

import cv2
import numpy as np

from zstackd_stacking.fusion.focus import NOISE_MARGIN, evidence, measured
from zstackd_stacking.fusion.noise import NoiseLevel
from zstackd_stacking.geometry import rescale
from zstackd_stacking.methods.intake import Placed
from zstackd_stacking.types import FloatMap, as_floats

_REDUCED: Final = 4
_REACH_PX: Final = 1.5
"""Standard deviation of the surroundings' pooling, on the grid reduced by that."""
_SHARE_OF_SURROUNDINGS: Final = 0.1


class FocusMaps:
    """The focus evidence of frames above the least noise that any of them has shown."""

    def __init__(self) -> None:
        self._noise = NoiseLevel()
        self._least: FloatMap = np.zeros(0, np.float32)

    @property
    def floor(self) -> float:
        """Logarithm of the least evidence that a place can have."""
        return float(np.log(NOISE_MARGIN * self._noise.energy()))

    def of(self, placed: Placed) -> tuple[FloatMap, float]:
        """Logarithm of the evidence at half size, and its mean before that.

        Where a frame has no pixels it neither adds nor takes away: its evidence is the least that
        the frames so far have there. The first frame has pixels everywhere.
        """
        detail = measured(placed.luminance, placed.unit)
        self._noise.observe(detail.samples, detail.unit)
        own = evidence(detail, self._noise.energy())
        found = _with_surroundings(own.log_focus)
        if placed.matrix is not None:
            size = found.shape[1], found.shape[0]
            matrix = rescale(placed.matrix, 0.5)
            found = as_floats(cv2.warpAffine(found, matrix, size, flags=cv2.INTER_LINEAR))
        if not self._least.size:
            self._least = found.copy()
        if placed.coverage is not None:
            np.copyto(found, self._least, where=placed.coverage == 0)
        np.minimum(self._least, found, out=self._least)
        return found, own.sharpness


class BestSoFar:
    """The strongest evidence of each place, and luminance at half size where that was."""

    def __init__(self) -> None:
        self.focus: FloatMap = np.zeros(0, np.float32)
        self.picture: FloatMap = np.zeros(0, np.float32)

    def add(self, focus: FloatMap, placed: Placed) -> None:
        """Take in one frame by its log evidence."""
        picture = _half_luminance(placed)
        if not self.focus.size:
            self.focus, self.picture = focus.copy(), picture
            return
        better = focus > self.focus
        np.copyto(self.focus, focus, where=better)
        np.copyto(self.picture, picture, where=better)


def _with_surroundings(log_focus: FloatMap) -> FloatMap:
    """Evidence that speaks for its surroundings, too, where these show next to nothing.

    Bare places beside an edge would otherwise be taken for in focus where its blur reaches them.
    """
    focus = as_floats(cv2.exp(log_focus))
    height, width = focus.shape
    small = max(width // _REDUCED, 1), max(height // _REDUCED, 1)
    pooled = cv2.resize(focus, small, interpolation=cv2.INTER_AREA)
    pooled = cv2.GaussianBlur(pooled, (0, 0), _REACH_PX)
    around = cv2.resize(pooled, (width, height), interpolation=cv2.INTER_LINEAR)
    return as_floats(cv2.log(cv2.scaleAdd(around, _SHARE_OF_SURROUNDINGS, focus)))


def _half_luminance(placed: Placed) -> FloatMap:
    """Luminance of a placed frame in 8-bit levels of the reference's brightness, half size."""
    grey = placed.luminance
    half = (grey.shape[1] + 1) // 2, (grey.shape[0] + 1) // 2
    small = cv2.resize(grey, half, interpolation=cv2.INTER_AREA)
    if placed.matrix is not None:
        small = cv2.warpAffine(small, rescale(placed.matrix, 0.5), half, flags=cv2.INTER_LINEAR)
    return as_floats(small) * np.float32(placed.gain / placed.unit)
