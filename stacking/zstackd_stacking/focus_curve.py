"""The peak of a focus curve, or the reason why there is none that can be trusted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LEAST_PLANES: Final = 5
LEAST_CONTRAST: Final = 0.12
_NOISE_SIGMAS: Final = 8.0
_END_SIGMAS: Final = 6.0
_TOP_SHARE: Final = 0.5
_RIVAL_SHARE: Final = 0.6
_VALLEY_SHARE: Final = 0.75
_FIT_TERMS: Final = 3

Curve = NDArray[np.float64]


class NoPeak(Enum):
    """Why a curve has no peak that can be trusted."""

    FLAT = "flat"
    AT_LOW_END = "at the low end"
    AT_HIGH_END = "at the high end"


@dataclass(frozen=True, slots=True)
class Peak:
    """Where a focus curve peaks.

    `contrast`: height of the peak above the curve's floor, as a share of the peak. `rivals_um`:
    heights of other, lower peaks that stand out as well, highest first.
    """

    z_um: float
    sharpness: float
    contrast: float
    rivals_um: tuple[float, ...]


def find_peak(
    z_um: Sequence[float],
    sharpness: Sequence[float],
    *,
    noise: float = 0.0,
    least_contrast: float = LEAST_CONTRAST,
) -> Peak | NoPeak:
    """Return the highest peak of sharpness over heights, between planes.

    `z_um`: heights of at least five planes, rising. `noise`: standard deviation of one value. The
    peak is the vertex of a parabola through the logarithms of the values near the highest one (a
    Gaussian peak), after S. Nayar and Y. Nakagawa, «Shape from focus», IEEE PAMI 16 (1994).

    A curve whose peak does not stand out of noise, or above its floor by less than the share
    `least_contrast` of its height, is FLAT; a highest plane at the end of
    the range, or above that end by no more than noise, says that the true peak lies beyond it.

    Raises:
        ValueError: fewer than five planes, or heights that do not rise.
    """
    heights, values = np.asarray(z_um, float), np.asarray(sharpness, float)
    if len(heights) < LEAST_PLANES or len(heights) != len(values):
        raise ValueError(f"a focus curve needs at least {LEAST_PLANES} planes")
    if not np.all(np.diff(heights) > 0):
        raise ValueError("the heights of a focus curve must rise")
    best = int(np.argmax(values))
    floor = float(np.min(values))
    rise = float(values[best]) - floor
    if rise <= _NOISE_SIGMAS * noise or rise < least_contrast * abs(float(values[best])):
        return NoPeak.FLAT
    least = float(values[best]) - _END_SIGMAS * noise
    if best == 0 or values[0] > least:
        return NoPeak.AT_LOW_END
    if best == len(values) - 1 or values[-1] > least:
        return NoPeak.AT_HIGH_END
    return Peak(
        z_um=_vertex(heights, values, best, floor),
        sharpness=float(values[best]),
        contrast=rise / float(values[best]) if values[best] > 0 else 1.0,
        rivals_um=_rivals(heights, values, best, floor),
    )


def _vertex(heights: Curve, values: Curve, best: int, floor: float) -> float:
    """Fit a parabola to the logarithms of the plane's neighbourhood; weights follow the values."""
    first, last = _top(values, best, floor)
    near = slice(first, last + 1)
    top = float(values[best]) - floor
    shares = np.maximum((values[near] - floor) / top, 1e-3)
    centred = heights[near] - heights[best]
    if len(shares) < _FIT_TERMS:
        return float(heights[best])
    square, slope, _ = np.polyfit(centred, np.log(shares), 2, w=shares)
    if square >= 0:
        return float(heights[best])
    vertex = float(heights[best] - slope / (2 * square))
    return float(np.clip(vertex, heights[best - 1], heights[best + 1]))


def _top(values: Curve, best: int, floor: float) -> tuple[int, int]:
    """Return the first and last plane of the peak's upper half, always with both neighbours."""
    bound = floor + _TOP_SHARE * (float(values[best]) - floor)
    first = last = best
    while first > 0 and values[first - 1] >= bound:
        first -= 1
    while last < len(values) - 1 and values[last + 1] >= bound:
        last += 1
    return min(first, best - 1), max(last, best + 1)


def _rivals(heights: Curve, values: Curve, best: int, floor: float) -> tuple[float, ...]:
    """Return other maxima at least 60 % as high, parted from the peak by a valley."""
    rise = float(values[best]) - floor
    found: list[tuple[float, float]] = []
    for index in range(1, len(values) - 1):
        share = (float(values[index]) - floor) / rise
        is_maximum = values[index - 1] < values[index] >= values[index + 1]
        if index == best or not is_maximum or share < _RIVAL_SHARE:
            continue
        between = values[min(index, best) : max(index, best) + 1]
        if (float(np.min(between)) - floor) / rise < _VALLEY_SHARE * share:
            found.append((share, float(heights[index])))
    return tuple(z for _, z in sorted(found, reverse=True))


def shift_between(first: Any, second: Any, *, step: float) -> float:
    """Return by how much `second` lies further along than `first`, sampled alike every `step`.

    Least squares over all shifts up to half the length, to a hundredth of a step; the two curves
    may differ in scale and floor. Raises ValueError where they differ in length.
    """
    one, two = np.asarray(first, float), np.asarray(second, float)
    if one.shape != two.shape or len(one) < LEAST_PLANES:
        raise ValueError(f"two curves of the same length, at least {LEAST_PLANES}, are needed")
    reach = len(one) / 2
    coarse = np.arange(-reach, reach + 0.05, 0.1)
    best = coarse[int(np.argmin([_misfit(one, two, shift) for shift in coarse]))]
    fine = best + np.arange(-0.12, 0.121, 0.01)
    return float(fine[int(np.argmin([_misfit(one, two, shift) for shift in fine]))] * step)


def _misfit(one: Curve, two: Curve, shift: float) -> float:
    """Return what is left of `two` after the best scale and floor of `one` moved by `shift`."""
    places = np.arange(len(one), dtype=float)
    inside = (places - shift >= 0) & (places - shift <= len(one) - 1)
    moved = np.interp(places[inside] - shift, places, one)
    wanted = two[inside]
    spread = float(np.var(moved)) * float(np.var(wanted))
    if spread <= 0:
        return 1.0
    covariance = float(np.mean((moved - moved.mean()) * (wanted - wanted.mean())))
    return 1.0 - covariance / math.sqrt(spread)
