"""Height of best focus from the focus evidence of each plane, in constant memory.

Source: a parabola through the logarithms of the focus measure at the best plane and its
neighbours (Nayar and Nakagawa 1994), here for planes at any spacing.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.types import FloatMap

_UNSET: Final = np.float32(-np.inf)
_SURE_LOG_RATIO: Final = 1.0


class DepthMap:
    """Best plane so far and the evidence at it and its two neighbours.

    Frames come in outward order: planes above the reference upwards, then those below it
    downwards.
    """

    def __init__(self) -> None:
        self._heights: dict[int, float] = {}
        self._reference: tuple[int, FloatMap] | None = None
        self._previous: tuple[int, FloatMap] | None = None
        self._index: NDArray[np.int32] | None = None
        self._best: FloatMap | None = None
        self._left: FloatMap | None = None
        self._right: FloatMap | None = None
        self._least: FloatMap | None = None

    def add(self, evidence: FloatMap, *, index: int, height: float) -> None:
        """Take in the log evidence of one plane at `height`; plane order is that of `index`."""
        self._heights[index] = height
        if self._reference is None or self._best is None:
            self._start(evidence, index)
            return
        below = index < self._reference[0]
        previous = self._previous
        if previous is None or (below and previous[0] > self._reference[0]):
            previous = self._reference
        self._update(evidence, index, previous, below=below)
        self._previous = (index, evidence)

    def heights(self) -> tuple[FloatMap, FloatMap]:
        """Height and confidence (0 to 1) at the evidence's size."""
        indices = np.array(sorted(self._heights))
        levels = np.array([self._heights[i] for i in indices])
        best, left, right = self._best, self._left, self._right
        assert best is not None
        place = np.searchsorted(indices, self._index)
        last = len(indices) - 1
        z = levels[place]
        before = levels[np.maximum(place - 1, 0)] - z
        after = levels[np.minimum(place + 1, last)] - z
        offset = _parabola_top(before, left - best, after, right - best)
        least = np.minimum(self._least, best)
        confidence = np.clip((best - least) / (2 * _SURE_LOG_RATIO), 0, 1).astype(np.float32)
        return (z + offset).astype(np.float32), confidence

    def _start(self, evidence: FloatMap, index: int) -> None:
        self._reference = self._previous = (index, evidence)
        self._best = evidence.copy()
        self._least = evidence.copy()
        self._index = np.full(evidence.shape, index, np.int32)
        self._left = np.full(evidence.shape, _UNSET)
        self._right = np.full(evidence.shape, _UNSET)

    def _update(
        self, evidence: FloatMap, index: int, previous: tuple[int, FloatMap], *, below: bool
    ) -> None:
        behind, ahead = (self._right, self._left) if below else (self._left, self._right)
        neighbour = self._index == previous[0]
        np.copyto(ahead, evidence, where=neighbour)
        better = evidence > self._best
        np.copyto(self._best, evidence, where=better)
        np.copyto(self._index, index, where=better)
        np.copyto(behind, previous[1], where=better)
        np.copyto(ahead, _UNSET, where=better)
        np.minimum(self._least, evidence, out=self._least)


def fill(values: FloatMap, sure: FloatMap) -> FloatMap:
    """Replace what is unsure by a smooth continuation of what is sure (push-pull)."""
    if min(values.shape) <= 2:
        total = float(np.sum(sure))
        mean = float(np.sum(values * sure)) / total if total > 0 else float(np.mean(values))
        return np.asarray(sure * values + (1 - sure) * mean, np.float32)
    weight = cv2.pyrDown(sure)
    coarse = cv2.pyrDown(values * sure) / np.maximum(weight, 1e-6)
    filled = fill(coarse.astype(np.float32), np.minimum(weight * 2, 1).astype(np.float32))
    up = cv2.pyrUp(filled, dstsize=(values.shape[1], values.shape[0]))
    return np.asarray(sure * values + (1 - sure) * up, np.float32)


def _parabola_top(
    before: NDArray[np.float64], left: FloatMap, after: NDArray[np.float64], right: FloatMap
) -> NDArray[np.float64]:
    """Where the parabola through (before, left), (0, 0), (after, right) has its top."""
    known = np.isfinite(left) & np.isfinite(right) & (left < 0) & (right <= 0)
    slope_left = np.where(known, left, -1) / np.where(known, before, -1)
    slope_right = np.where(known, right, -1) / np.where(known, after, 1)
    curvature = (slope_right - slope_left) / np.where(known, after - before, 2)
    slope = slope_left - curvature * np.where(known, before, -1)
    top = -slope / (2 * np.where(curvature == 0, 1, curvature))
    low, high = np.minimum(before, after) / 2, np.maximum(before, after) / 2
    return np.where(known & (curvature != 0), np.clip(top, low, high), 0.0)
