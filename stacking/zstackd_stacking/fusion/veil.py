"""How much of the light of each place the discs of nearer places hide, and what they put there.

An object nearer than the plane in focus is spread by a disc whose radius grows with its distance
from that plane (thin lens, circular aperture), over its outline and over what is behind it. Here
the plane in focus is each place's own one.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.types import FloatMap, as_floats
from zstackd_stacking.workers import mapped

REACH_PX: Final = 11.0
_MARGIN_PX: Final = 12
_DENSE_PX: Final = 4.3
_PARTS: Final = 4
_SMALL: Final = 65_536
_REACHED: Final = np.ones((2 * _MARGIN_PX - 1,) * 2, np.uint8)
_NEIGHBOURS: Final = np.ones((3, 3), np.uint8)
_STEPS: Final = 255
_LEAST_STEP: Final = 1e-6


@dataclass(frozen=True, slots=True)
class _Around:
    """What places around hide of a place: `down` and `right` tell where they are, from a margin on.

    `tables` (places, steps): of one that is so many steps nearer, the share of its disc.
    """

    down: NDArray[np.int64]
    right: NDArray[np.int64]
    tables: FloatMap


def veil(heights: FloatMap, light: FloatMap, least: float) -> tuple[FloatMap, FloatMap]:
    """The share of each place's light that nearer places hide, 0 to 1, and their light there.

    `heights` (h, w): nearer ones are greater, and the difference of two is the radius in px of the
    one's disc where the other is in focus. `light` (h, w), linear, is what is spread. What is less
    than `least` nearer hides nothing; of discs wider than 11 px only what is within 11 px counts.
    """
    steps, step = _in_steps(heights)
    hidden, spread = np.zeros_like(light), np.zeros_like(light)
    box = _box(cv2.subtract(cv2.dilate(steps, _REACHED), steps) * step > least)
    if box is None:
        return hidden, spread
    reached = tuple(slice(side.start, side.stop + 2 * _MARGIN_PX) for side in box)
    near, bright = (part[reached] for part in _bordered(steps, light))
    own = steps[box]
    around = _around(step, least, float(np.ptp(heights)))
    count = _PARTS if own.size > _SMALL else 1  # small sums are sooner done than shared out

    def sums(first: int) -> tuple[FloatMap, FloatMap]:
        totals = np.zeros(own.shape, np.float32), np.zeros(own.shape, np.float32)
        for number in range(first, len(around.tables), count):
            down, right = around.down[number], around.right[number]
            there = np.s_[down : down + own.shape[0], right : right + own.shape[1]]
            share = cv2.LUT(cv2.subtract(near[there], own), around.tables[number])
            cv2.accumulate(share, totals[0])
            cv2.accumulateProduct(share, bright[there], totals[1])
        return totals

    for part in mapped(sums, range(count)):
        hidden[box] += part[0]
        spread[box] += part[1]
    return hidden, spread


def veil_of_some(
    heights: FloatMap, light: FloatMap, least: float, *, among: NDArray[np.bool_], most: int
) -> tuple[NDArray[np.int64], FloatMap, FloatMap]:
    """Some of the places `among` that anything can hide, with their veil: numbers, share, light.

    There are at most `most` of them, evenly spread. Numbers are those of a flat map, all else is as
    in `veil`.
    """
    steps, step = _in_steps(heights)
    places = np.flatnonzero(among & _reached(steps, step))
    places = places[:: -(-len(places) // most) | 1]  # odd, to meet all columns
    if not places.size:
        nothing = np.zeros(0, np.float32)
        return places, nothing, nothing
    width = light.shape[1] + 2 * _MARGIN_PX
    near, bright = (part.ravel() for part in _bordered(steps, light))
    around = _around(step, least, float(np.ptp(heights)))
    there = places + 2 * _MARGIN_PX * (places // light.shape[1])
    there = there + (around.down * width + around.right)[:, None]
    own = steps.ravel()[places]
    nearer = np.maximum(near[there], own) - own
    share = around.tables[np.arange(len(there))[:, None], nearer]
    return places, share.sum(axis=0), np.einsum("ij,ij->j", share, bright[there])


def _reached(steps: NDArray[np.uint8], step: float) -> NDArray[np.bool_]:
    """Where discs of nearer places reach, and a little around: cones are let down on them."""
    px = min(int(1 / step), _STEPS)
    cone = _lowered(cv2.dilate(steps, _NEIGHBOURS), max(px - ceil(0.5 / step), 0))
    for _ in range(_MARGIN_PX - 1):
        cone = np.maximum(cone, _lowered(cv2.dilate(cone, _NEIGHBOURS), px))
    return np.asarray(cone > steps)


def _lowered(steps: NDArray[Any], by: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.subtract(steps, np.full_like(steps, by)), np.uint8)


def _bordered(
    steps: NDArray[np.uint8], light: FloatMap
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Both with a margin in which there is nothing."""
    margin = (_MARGIN_PX,) * 4
    near, bright = (
        cv2.copyMakeBorder(part, *margin, cv2.BORDER_CONSTANT, value=0) for part in (steps, light)
    )
    return np.asarray(near, np.uint8), as_floats(bright)


def _box(where: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """The least rectangle that holds all places where something is."""
    rows, columns = (np.flatnonzero(where.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _in_steps(heights: FloatMap) -> tuple[NDArray[np.uint8], float]:
    """Heights in whole steps from the least one, and the step."""
    least = float(heights.min())
    step = max((float(heights.max()) - least) / _STEPS, _LEAST_STEP)
    return np.rint((heights - np.float32(least)) / np.float32(step)).astype(np.uint8), step


def _around(step: float, least: float, most: float) -> _Around:
    radii = np.arange(_STEPS + 1) * step
    down, right, distance, number = _offsets(min(REACH_PX, most))
    discs = np.clip(radii - distance[:, None] + 0.5, 0, 1) * (radii > least) * number[:, None]
    area = np.maximum(discs.sum(axis=0) + np.minimum(radii + 0.5, 1), np.pi * radii**2)
    tables = as_floats(discs / area)
    some = tables.any(axis=1)
    return _Around(down[some] + _MARGIN_PX, right[some] + _MARGIN_PX, tables[some])


def _offsets(
    reach: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Offsets (down, right) within `reach`, their lengths, and how many places each stands for.

    Beyond some px every second place of either direction stands for its neighbours.
    """
    side = np.arange(-_MARGIN_PX, _MARGIN_PX + 1)
    down, right = (part.ravel() for part in np.meshgrid(side, side, indexing="ij"))
    distance = np.hypot(down, right)
    within = (distance > 0) & (distance - 0.5 < reach)
    dense = within & (distance <= _DENSE_PX)
    far = within & ~dense
    sparse = far & (down % 2 == 0) & (right % 2 == 0)
    number = dense.astype(np.float64)
    if sparse.any():
        apart = (down[far, None] - down[sparse]) ** 2 + (right[far, None] - right[sparse]) ** 2
        nearest = apart == apart.min(axis=1, keepdims=True)
        number[sparse] = (nearest / nearest.sum(axis=1, keepdims=True)).sum(axis=0)
    chosen = dense | sparse
    return down[chosen], right[chosen], distance[chosen], number[chosen]
