"""How fast frames blur with the distance from focus, measured on the subject's own texture.

A band of the pyramid shows in planes apart from a place's own one what it shows there, blurred: the
regression of the one on the other is the response of the blur, in which noise has no part. Texture
whose amplitude falls with frequency, as nature's does (D. Field 1987), has lost half its response
in the third band where the disc of defocus has a radius of about 7 px.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.types import FloatMap

HALF_RADIUS_PX: Final = 7.1
"""Radius of the disc, in pixels of the frame, that halves the third band of natural texture."""
_HALF: Final = 0.5
_SAMPLE: Final = np.s_[::16, ::4]
_LEAST_SHARE: Final = 0.02
_APART: Final = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)
"""How many planes beyond a place's own one it is looked at again."""


class BlurGrowth:
    """Takes in planes in outward order (see `stacking_order`), either side by itself."""

    def __init__(self) -> None:
        self._reference = 0
        self._sides: tuple[_Side, ...] = ()

    def add(self, focus: FloatMap, detail: FloatMap, index: int) -> None:
        """Take in a frame's focus and third band, both (h, w) at a quarter of the size.

        Focus is minus infinity where the frame has no pixels.
        """
        focus, detail = focus[_SAMPLE].ravel(), detail[_SAMPLE].ravel()
        if not self._sides:
            self._reference = index
            self._sides = tuple(_Side(index, focus.copy(), detail.copy()) for _ in range(2))
            return
        self._sides[index < self._reference].add(focus, detail, index)

    def radius_px(self) -> float | None:
        """By how much the radius of the disc grows per plane; None where it could not be seen."""
        if not self._sides:
            return None
        above, below = self._sides
        sums = above.sums(below) + below.sums(above)
        least = _LEAST_SHARE * sums[:, 1].max()
        before = 0, 1.0
        for planes, (product, square) in zip(_APART, sums.tolist(), strict=True):
            if square <= least:
                return None
            response = float(product / square)
            if response < _HALF:
                share = (before[1] - _HALF) / (before[1] - response)
                return float(HALF_RADIUS_PX / (before[0] + share * (planes - before[0])))
            before = planes, response
        return None


@dataclass(slots=True)
class _Side:
    """Own planes so far on one side of the reference, and what places show apart from them.

    `inward` and `outward` (len(_APART), n): the band so many planes nearer to the reference and
    farther from it, not a number where not seen. `recent`: the last planes' bands by their index.
    """

    reference: int
    focus: FloatMap
    detail: FloatMap
    index: NDArray[np.int32] = field(init=False)
    inward: FloatMap = field(init=False)
    outward: FloatMap = field(init=False)
    recent: dict[int, FloatMap] = field(init=False)

    def __post_init__(self) -> None:
        self.index = np.full(self.focus.shape, self.reference, np.int32)
        self.inward = np.full((len(_APART), *self.focus.shape), np.nan, np.float32)
        self.outward = self.inward.copy()
        self.recent = {self.reference: self.detail.copy()}

    def add(self, focus: FloatMap, detail: FloatMap, index: int) -> None:
        better = focus > self.focus
        np.copyto(self.focus, focus, where=better)
        np.copyto(self.detail, detail, where=better)
        np.copyto(self.index, np.int32(index), where=better)
        apart = np.where(np.isfinite(focus), np.abs(index - self.index), 0)
        towards = 1 if index < self.reference else -1
        for number, planes in enumerate(_APART):
            before = self.recent.get(index + towards * planes)
            np.copyto(self.inward[number], np.nan if before is None else before, where=better)
            np.copyto(self.outward[number], np.nan, where=better)
            np.copyto(self.outward[number], detail, where=apart == planes)
        self.recent[index] = detail
        for gone in [one for one in self.recent if abs(one - index) >= _APART[-1]]:
            del self.recent[gone]

    def sums(self, other: "_Side") -> NDArray[np.float64]:
        """For each of `_APART`: products with the own band, squares of it, where both are known.

        Of places in focus on this side, not in the reference or on the `other` one.
        """
        here = (self.focus > other.focus) & (self.index != self.reference)
        own = np.where(here, self.detail, 0).astype(np.float64)
        total = np.zeros((len(_APART), 2))
        for side in (self.inward, self.outward):
            known = np.isfinite(side)
            total[:, 0] += np.where(known, own * side, 0).sum(axis=1)
            total[:, 1] += (known * own**2).sum(axis=1)
        return total
