"""The best plane of each place of a grid, kept in constant memory while planes come.

The height between planes is where two lines of opposite slope meet, through the logarithms of the
focus measure at the best plane and its neighbours (equiangular fit of Shimizu and Okutomi 2002,
here for planes at any spacing): away from focus the logarithm falls in nearly a straight line, so
that a parabola (Nayar and Nakagawa 1994) leaves waves in a slope. How far the evidence spreads
over the planes tells a true focus, which is narrow, from noise, from two candidates and from the
veil of a defocused object, whose focus measure rises and falls slowly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.types import FloatMap, as_floats

_UNSET: Final = np.float32(-np.inf)
_POWER: Final = np.float32(6.0)
_MOST: Final = np.float32(10.0)
"""The power of greater log evidence would not fit into 32 bits."""
_LEAST_DISTANCE: Final = 1e-9
_LEAST_STEEPNESS: Final = 1e-6


@dataclass(slots=True)
class Peaks:
    """Best plane so far, and the evidence at it, at its two neighbours, and at its least.

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
    def of_reference(cls, index: int, evidence: FloatMap) -> "Peaks":
        """The state after the first plane, by its log evidence."""
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

    def add(self, evidence: FloatMap, index: int) -> None:
        """Take in the log evidence of one more plane, minus infinity where there is none.

        Planes come in outward order.
        """
        below = index < self.reference
        previous = self.below if below else self.above
        behind, ahead = (self.right, self.left) if below else (self.left, self.right)
        np.copyto(ahead, evidence, where=self.index == previous[0])
        better = evidence > self.best
        np.copyto(self.best, evidence, where=better)
        np.copyto(self.index, np.int32(index), where=better)
        np.copyto(behind, previous[1], where=better)
        np.copyto(ahead, _UNSET, where=better)
        np.minimum(self.least, evidence, out=self.least, where=evidence != _UNSET)
        if below:
            self.below = (index, evidence)
        else:
            self.above = (index, evidence)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        maps = self.above[1], self.below[1], self.index, self.best, self.left, self.right
        return sum(part.nbytes for part in (*maps, self.least))

    def contrast(self) -> FloatMap:
        """By how much the best plane stands out of the least one."""
        return as_floats(self.best - np.minimum(self.least, self.best))

    def fall(self) -> FloatMap:
        """How steeply the log evidence falls from the best plane, per plane; 0 where not known."""
        lower = np.where(self._known(), np.minimum(self.left, self.right), self.best)
        return as_floats(np.maximum(self.best - lower, 0))

    def seen_around(self, first: int, last: int) -> NDArray[np.bool_]:
        """Where evidence is known on both sides of the best plane, or that is an end of the stack.

        `first` and `last` are the planes at the ends.
        """
        at_end: NDArray[np.bool_] = (self.index == first) | (self.index == last)
        return self._known() | at_end

    def _known(self) -> NDArray[np.bool_]:
        """Where both neighbours of the best plane have been seen."""
        return np.isfinite(self.left) & np.isfinite(self.right)

    def heights(self, indices: NDArray[np.int64], levels: NDArray[np.float64]) -> FloatMap:
        """Height of best focus; `levels` are the heights of the planes `indices`, in order."""
        place = np.searchsorted(indices, self.index)
        last = len(indices) - 1
        z = levels[place]
        before = levels[np.maximum(place - 1, 0)] - z
        after = levels[np.minimum(place + 1, last)] - z
        known = self._known()
        left, right = (np.where(known, side - self.best, -1) for side in (self.left, self.right))
        top = _top(np.where(known, before, -1), left, np.where(known, after, 1), right)
        return as_floats(np.where(known, z + top, z))


@dataclass(frozen=True, slots=True)
class Spread:
    """How far evidence spreads along the planes: sums of its power and that power's moments."""

    reference: int
    sums: tuple[FloatMap, FloatMap, FloatMap]

    @classmethod
    def of_reference(cls, index: int, evidence: FloatMap) -> "Spread":
        """The state after the first plane, by its log evidence."""
        total, first, second = (np.zeros_like(evidence) for _ in range(3))
        state = cls(index, (total, first, second))
        state.add(evidence, index)
        return state

    def add(self, evidence: FloatMap, index: int) -> None:
        """Take in the log evidence of one more plane."""
        power = as_floats(cv2.exp(np.minimum(evidence, _MOST) * _POWER))
        for order, total in enumerate(self.sums):
            cv2.scaleAdd(power, float(index - self.reference) ** order, total, total)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(part.nbytes for part in self.sums)

    def planes(self) -> FloatMap:
        """Standard deviation along the planes, in planes."""
        total, first, second = self.sums
        mean = first / total
        return as_floats(np.sqrt(np.maximum(second / total - mean * mean, 0)))


def in_order(heights: Mapping[int, float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Indices of planes in ascending order, and their heights."""
    indices = sorted(heights)
    return np.array(indices, np.int64), np.array([heights[index] for index in indices], np.float64)


def _top(
    before: NDArray[np.float64],
    left: NDArray[np.float64],
    after: NDArray[np.float64],
    right: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Where two lines of equal and opposite steepness through the three points meet.

    The points are (before, left), (0, 0) and (after, right).
    """
    # Planes may be asked for twice, at no distance.
    steep_left = -left / np.maximum(np.abs(before), _LEAST_DISTANCE)
    steep_right = -right / np.maximum(np.abs(after), _LEAST_DISTANCE)
    steep = np.maximum(np.maximum(steep_left, steep_right), _LEAST_STEEPNESS)
    rightward = np.sign(after) * np.clip(right / steep + np.abs(after), 0, np.abs(after)) / 2
    leftward = np.sign(before) * np.clip(left / steep + np.abs(before), 0, np.abs(before)) / 2
    return np.where(steep_left >= steep_right, rightward, leftward)
