"""Height of best focus from the focus evidence of each plane, in constant memory.

Source: a parabola through the logarithms of the focus measure at the best plane and its
neighbours (Nayar and Nakagawa 1994), here for planes at any spacing.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_config.errors import StackError
from zstackd_stacking.types import FloatMap, as_floats

_UNSET: Final = np.float32(-np.inf)
_NOISE_LOG_RATIO: Final = 1.9
_SURE_LOG_RATIO: Final = 3.3
"""Noise alone makes the best plane stand out of the least one by up to the first."""

_LEAST_SIDE: Final = 2


@dataclass(slots=True)
class _State:
    """Best plane so far and the evidence at it, at its two neighbours, and at its least.

    `above` and `below` are the last planes on either side of the reference.
    """

    reference: int
    above: tuple[int, FloatMap]
    below: tuple[int, FloatMap]
    index: NDArray[np.int32]
    best: FloatMap
    left: FloatMap
    right: FloatMap
    least: FloatMap

    @classmethod
    def of_reference(cls, index: int, evidence: FloatMap) -> "_State":
        """The state after the first plane."""
        return cls(
            reference=index,
            above=(index, evidence),
            below=(index, evidence),
            index=np.full(evidence.shape, index, np.int32),
            best=evidence.copy(),
            left=np.full(evidence.shape, _UNSET),
            right=np.full(evidence.shape, _UNSET),
            least=evidence.copy(),
        )


class DepthMap:
    """Height of best focus from planes in outward order (see `stacking_order`).

    The planes above the reference may be mixed with those below it in any way.
    """

    def __init__(self) -> None:
        self._heights: dict[int, float] = {}
        self._state: _State | None = None

    def add(self, evidence: FloatMap, *, index: int, height: float) -> None:
        """Take in the log evidence of one plane at `height`; plane order is that of `index`."""
        self._heights[index] = height
        if self._state is None:
            self._state = _State.of_reference(index, evidence)
        else:
            _update(self._state, evidence, index)

    def heights(self) -> tuple[FloatMap, FloatMap]:
        """Height and confidence (0 to 1) at the evidence's size; unsure places are filled in."""
        state = self._state
        if state is None:
            raise StackError("no plane was added: a height map needs at least 1")
        indices = np.array(sorted(self._heights))
        levels = np.array([self._heights[i] for i in indices])
        place = np.searchsorted(indices, state.index)
        last = len(indices) - 1
        z = levels[place]
        before = levels[np.maximum(place - 1, 0)] - z
        after = levels[np.minimum(place + 1, last)] - z
        offset = _parabola_top(before, state.left - state.best, after, state.right - state.best)
        contrast = state.best - np.minimum(state.least, state.best)
        span = _SURE_LOG_RATIO - _NOISE_LOG_RATIO
        sure = as_floats(np.clip((contrast - _NOISE_LOG_RATIO) / span, 0, 1))
        return fill(as_floats(z + offset), sure), sure


def _update(state: _State, evidence: FloatMap, index: int) -> None:
    below = index < state.reference
    previous = state.below if below else state.above
    behind, ahead = (state.right, state.left) if below else (state.left, state.right)
    np.copyto(ahead, evidence, where=state.index == previous[0])
    better = evidence > state.best
    np.copyto(state.best, evidence, where=better)
    np.copyto(state.index, np.int32(index), where=better)
    np.copyto(behind, previous[1], where=better)
    np.copyto(ahead, _UNSET, where=better)
    np.minimum(state.least, evidence, out=state.least)
    if below:
        state.below = (index, evidence)
    else:
        state.above = (index, evidence)


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
