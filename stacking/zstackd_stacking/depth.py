"""Height of best focus from the focus evidence of each plane, in constant memory.

Fine and coarse evidence each find their own best plane. Coarse heights, in which less noise is
left, rule where the two agree within what noise can do; fine ones rule at edges. Places where
neither is sure are filled in smoothly.
"""

from math import log, sqrt
from typing import Final

import cv2
import numpy as np

from zstackd_config.errors import StackError
from zstackd_stacking.peaks import Peaks
from zstackd_stacking.types import FloatMap, as_floats

_NOISE: Final = (0.2, 0.1)
"""Standard deviation of log evidence by noise alone, on the fine and the coarse grid."""
_SURE_CONTRAST: Final = 1.7
_MARKED: Final = 0.5
_WIDE: Final = 4.0
_WIDE_PLANES: Final = 0.5
_TYPICAL_PERCENTILE: Final = 10
_AGREE: Final = 2.0
_DISAGREE: Final = 4.0
_JUMP_PLANES: Final = 3.0
_JUMP_REACH: Final = 5
_OFFSET_NOISE: Final = 0.7
_LEAST_FALL: Final = 1e-3
_AROUND: Final = 7
_SUPPORT: Final = 0.25
_SMOOTH_REACH: Final = 7
_SMOOTH_PLANES: Final = 0.3
_SMOOTH_PX: Final = 2.0
_LEAST_SIDE: Final = 2


class DepthMap:
    """Height of best focus from planes in outward order (see `stacking_order`).

    The planes above the reference may be mixed with those below it in any way.
    """

    def __init__(self) -> None:
        self._heights: dict[int, float] = {}
        self._grids: tuple[Peaks, ...] = ()
        self._size = 0, 0

    def add(self, evidence: FloatMap, *, index: int, height: float) -> None:
        """Take in the log evidence of one plane at `height`; plane order is that of `index`."""
        self._heights[index] = height
        self._size = evidence.shape[1], evidence.shape[0]
        size = (evidence.shape[1] + 1) // 2, (evidence.shape[0] + 1) // 2
        fine = as_floats(cv2.resize(evidence, size, interpolation=cv2.INTER_AREA))
        grids = fine, as_floats(cv2.pyrDown(fine))
        if not self._grids:
            self._grids = tuple(Peaks.of_reference(index, grid) for grid in grids)
        for peaks, grid in zip(self._grids, grids, strict=True):
            if index != peaks.reference:
                peaks.add(grid, index)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(grid.nbytes for grid in self._grids)

    def heights(self) -> tuple[FloatMap, FloatMap]:
        """Height and confidence (0 to 1) at the evidence's size; unsure places are filled in."""
        if not self._grids:
            raise StackError("no plane was added: a height map needs at least 1")
        indices = np.array(sorted(self._heights))
        levels = np.array([self._heights[i] for i in indices])
        step = max(float(np.mean(np.abs(np.diff(levels)))) if len(levels) > 1 else 1.0, 1e-9)
        z, sure = [], []
        for grid, noise in zip(self._grids, _NOISE, strict=True):
            z.append(grid.heights(indices, levels) / np.float32(step))
            sure.append(_supported(_sure(grid, noise, len(levels))))
        planes, sureness = _joined(z, sure, self._grids[0].fall())
        planes = as_floats(cv2.bilateralFilter(planes, _SMOOTH_REACH, _SMOOTH_PLANES, _SMOOTH_PX))
        maps = planes * np.float32(step), _without_jumps(planes, sureness)
        height, confidence = (
            as_floats(cv2.resize(part, self._size, interpolation=cv2.INTER_LINEAR)) for part in maps
        )
        return height, confidence


def _joined(z: list[FloatMap], sure: list[FloatMap], fall: FloatMap) -> tuple[FloatMap, FloatMap]:
    """Heights in planes and their sureness, of the fine and the coarse ones; whole."""
    fine, sure_fine = z[0], sure[0]
    coarse, sure_coarse = _up(fill(z[1], sure[1]), fine), _up(sure[1], fine)
    doubt = np.float32(_OFFSET_NOISE * _NOISE[0]) / np.maximum(fall, _LEAST_FALL)
    apart = np.clip((np.abs(fine - coarse) / doubt - _AGREE) / (_DISAGREE - _AGREE), 0, 1)
    share = _supported(as_floats(sure_fine * np.maximum(apart, 1 - sure_coarse)))
    joined = as_floats(coarse + share * (fine - coarse))
    sureness = as_floats(share * sure_fine + (1 - share) * sure_coarse)
    return fill(joined, sureness), sureness


def _supported(sure: FloatMap) -> FloatMap:
    """Less sure where hardly anything around is sure."""
    around = cv2.blur(sure, (_AROUND, _AROUND))
    return as_floats(sure * np.clip(around / _SUPPORT - 0.5, 0, 1))


def _without_jumps(planes: FloatMap, sure: FloatMap) -> FloatMap:
    """Unsure where heights jump: evidence reaches over edges."""
    kernel = np.ones((_JUMP_REACH, _JUMP_REACH), np.uint8)
    jump = cv2.subtract(cv2.dilate(planes, kernel), cv2.erode(planes, kernel))
    return as_floats(sure * np.clip(_JUMP_PLANES - jump, 0, 1))


def _sure(peaks: Peaks, noise: float, planes: int) -> FloatMap:
    """How surely the best plane is one of true focus, 0 to 1."""
    contrast, spread = peaks.contrast(), peaks.spread()
    by_noise = 2 * noise * sqrt(2 * log(max(planes, 2))) * 1.1
    sure = np.clip((contrast / by_noise - 1) / (_SURE_CONTRAST - 1), 0, 1)
    clear = spread[sure > _MARKED]
    if not clear.size:
        return as_floats(sure)
    most = _WIDE * float(np.percentile(clear, _TYPICAL_PERCENTILE)) + _WIDE_PLANES
    return as_floats(sure * np.clip((1.5 * most - spread) / (0.5 * most), 0, 1))


def _up(values: FloatMap, like: FloatMap) -> FloatMap:
    return as_floats(cv2.pyrUp(values, dstsize=(like.shape[1], like.shape[0])))


def fill(values: FloatMap, sure: FloatMap) -> FloatMap:
    """Replace what is unsure by a smooth continuation of what is sure (push-pull)."""
    if min(values.shape) <= _LEAST_SIDE:
        total = float(np.sum(sure))
        mean = float(np.sum(values * sure)) / total if total > 0 else float(np.mean(values))
        return np.asarray(sure * values + (1 - sure) * mean, np.float32)
    weight = cv2.pyrDown(sure)
    coarse = cv2.pyrDown(values * sure) / np.maximum(weight, 1e-6)
    filled = fill(coarse.astype(np.float32), np.minimum(weight * 2, 1).astype(np.float32))
    up = cv2.pyrUp(filled, dstsize=(values.shape[1], values.shape[0]))
    return np.asarray(sure * values + (1 - sure) * up, np.float32)
