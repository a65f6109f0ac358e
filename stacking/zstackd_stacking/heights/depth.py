"""Height of best focus from the focus evidence of each plane, in constant memory.

Fine and coarse evidence each find their own best plane. Coarse heights, in which less noise is
left, rule where the two agree within what noise can do; fine ones rule at edges. Places where
neither is sure are filled in smoothly.
"""

from dataclasses import dataclass
from math import log, sqrt
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_config.errors import StackError
from zstackd_stacking.filling import fill
from zstackd_stacking.heights.peaks import Peaks, Spread, in_order
from zstackd_stacking.types import FloatMap, as_floats

_NOISE: Final = (0.2, 0.1)
"""Standard deviation of log evidence by noise alone, on the fine and the coarse grid."""
_MOST_BY_NOISE: Final = 2.2
"""Contrast by noise alone, over that of two extremes of as many Gaussian values."""
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
_MEDIAN_PX: Final = 5
_ROUGH_PLANES: Final = 0.3
_STRONG_CONTRAST: Final = 3.5
_WIDE_PX: Final = 3.0
_SCATTERS: Final = 2.5
_LEAST_SCATTER: Final = 1e-3
_SMOOTH_REACH: Final = 7
_SMOOTH_PLANES: Final = 0.3
_SMOOTH_PX: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Grid:
    """What is known on one grid; `noise` is the standard deviation of its log evidence by noise."""

    peaks: Peaks
    spread: Spread
    noise: float

    def add(self, evidence: FloatMap, index: int) -> None:
        """Take in one more plane."""
        self.peaks.add(evidence, index)
        self.spread.add(evidence, index)

    def sure(self, planes: FloatMap, indices: NDArray[np.int64]) -> FloatMap:
        """How surely the best plane, of those of `indices`, is one of true focus, 0 to 1."""
        by_noise = _MOST_BY_NOISE * self.noise * sqrt(2 * log(max(len(indices), 2)))
        contrast = self.peaks.contrast()
        sure = np.clip((contrast / by_noise - 1) / (_SURE_CONTRAST - 1), 0, 1)
        sure *= _narrow(self.spread.planes(), sure) * _agreeing(planes, contrast)
        sure *= self.peaks.seen_around(int(indices[0]), int(indices[-1]))
        return _supported(as_floats(sure))


class DepthMap:
    """Height of best focus from planes in outward order (see `stacking_order`).

    The planes above the reference may be mixed with those below it in any way.
    """

    def __init__(self) -> None:
        self._heights: dict[int, float] = {}
        self._grids: tuple[_Grid, ...] = ()
        self._size = 0, 0

    def add(
        self, evidence: FloatMap, *, index: int, height: float, coverage: FloatMap | None = None
    ) -> None:
        """Take in the log evidence of one plane at `height`; plane order is that of `index`.

        `coverage` (0 to 1, of the evidence's size) tells where the frame has pixels; None is
        everywhere. A place is unsure where a frame beside its best plane has none.
        """
        if coverage is not None:
            evidence = as_floats(np.where(coverage < 1, -np.inf, evidence))
        size = (evidence.shape[1] + 1) // 2, (evidence.shape[0] + 1) // 2
        fine = as_floats(cv2.resize(evidence, size, interpolation=cv2.INTER_AREA))
        parts = fine, as_floats(cv2.pyrDown(fine))
        self._heights[index] = height
        if not self._grids:
            self._size = evidence.shape[1], evidence.shape[0]
            self._grids = tuple(
                _Grid(Peaks.of_reference(index, part), Spread.of_reference(index, part), noise)
                for part, noise in zip(parts, _NOISE, strict=True)
            )
            return
        for grid, part in zip(self._grids, parts, strict=True):
            grid.add(part, index)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(grid.peaks.nbytes + grid.spread.nbytes for grid in self._grids)

    def heights(self) -> tuple[FloatMap, FloatMap]:
        """Height and confidence (0 to 1) at the evidence's size; unsure places are filled in."""
        if not self._grids:
            raise StackError("no plane was added: a height map needs at least 1")
        indices, levels = in_order(self._heights)
        step = float(np.mean(np.abs(np.diff(levels)))) if len(levels) > 1 else 0.0
        step = step or 1.0
        z = [grid.peaks.heights(indices, levels / step) for grid in self._grids]
        sure = [grid.sure(part, indices) for grid, part in zip(self._grids, z, strict=True)]
        planes, sureness = _joined(z, sure, self._grids[0].peaks.fall())
        planes = _evened(planes, _weak(self._grids[0].peaks.contrast()))
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


def _narrow(spread: FloatMap, sure: FloatMap) -> FloatMap:
    """0 to 1: low where evidence spreads over more planes than is usual in this stack."""
    clear = spread[sure > _MARKED]
    if not clear.size:
        return np.ones_like(spread)
    most = _WIDE * float(np.percentile(clear, _TYPICAL_PERCENTILE)) + _WIDE_PLANES
    return as_floats(np.clip(3 - 2 * spread / np.float32(most), 0, 1))


def _agreeing(planes: FloatMap, contrast: FloatMap) -> FloatMap:
    """0 to 1: low where neighbours tell unlike heights, and none of them by strong evidence."""
    rough = np.clip(_scatter(planes) / _ROUGH_PLANES - 1, 0, 1)
    return as_floats(1 - rough * _weak(contrast))


def _weak(contrast: FloatMap) -> FloatMap:
    """1 where evidence is so weak that only neighbours together tell a height, else 0."""
    return as_floats(np.clip(_STRONG_CONTRAST - contrast, 0, 1))


def _scatter(planes: FloatMap) -> FloatMap:
    """Mean distance from the median around, which a clean edge does not raise."""
    apart = as_floats(cv2.absdiff(planes, cv2.medianBlur(planes, _MEDIAN_PX)))
    return as_floats(cv2.blur(apart, (_AROUND, _AROUND)))


def _evened(planes: FloatMap, weak: FloatMap) -> FloatMap:
    """Smooth as far as heights scatter anyway, without outliers where weak; edges stay."""
    planes = planes + weak * (as_floats(cv2.medianBlur(planes, _MEDIAN_PX)) - planes)
    wide = as_floats(cv2.GaussianBlur(planes, (0, 0), _WIDE_PX))
    apart = planes - wide
    beyond = np.clip(np.abs(apart) / (_SCATTERS * _scatter(planes) + _LEAST_SCATTER) - 1, 0, 1)
    even = as_floats(wide + beyond * apart)
    return as_floats(cv2.bilateralFilter(even, _SMOOTH_REACH, _SMOOTH_PLANES, _SMOOTH_PX))


def _supported(sure: FloatMap) -> FloatMap:
    """Less sure where hardly anything around is sure."""
    around = cv2.blur(sure, (_AROUND, _AROUND))
    return as_floats(sure * np.clip(around / _SUPPORT - 0.5, 0, 1))


def _without_jumps(planes: FloatMap, sure: FloatMap) -> FloatMap:
    """Unsure where heights jump: evidence reaches over edges."""
    kernel = np.ones((_JUMP_REACH, _JUMP_REACH), np.uint8)
    jump = cv2.subtract(cv2.dilate(planes, kernel), cv2.erode(planes, kernel))
    return as_floats(sure * np.clip(_JUMP_PLANES - jump, 0, 1))


def _up(values: FloatMap, like: FloatMap) -> FloatMap:
    return as_floats(cv2.pyrUp(values, dstsize=(like.shape[1], like.shape[0])))
