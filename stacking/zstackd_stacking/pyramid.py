"""Gaussian and Laplacian pyramids (Burt and Adelson 1983)."""

from typing import Final

import cv2

from zstackd_stacking.types import FloatMap, as_floats

MIN_SIDE_PX: Final = 8
MAX_LEVELS: Final = 8
BAND_NOISE: Final = (0.8890, 0.0530, 0.01012, 0.002399, 5.887e-4, 1.504e-4, 3.71e-5, 9.3e-6)
"""Variance of white noise of variance 1 in each band of the pyramid."""


def level_count(height: int, width: int) -> int:
    """How many bands an image has above its low-pass rest; at least 2."""
    levels, side = 0, min(height, width)
    while side > MIN_SIDE_PX and levels < MAX_LEVELS:
        side, levels = (side + 1) // 2, levels + 1
    return max(levels, 2)


def enlarged(coarse: FloatMap, like: FloatMap) -> FloatMap:
    """`coarse` brought to the size of the next finer level, that of `like`."""
    return as_floats(cv2.pyrUp(coarse, dstsize=(like.shape[1], like.shape[0])))


def band(fine: FloatMap, coarse: FloatMap) -> FloatMap:
    """What `fine` has beyond `coarse`."""
    beyond = enlarged(coarse, fine)
    return as_floats(cv2.subtract(fine, beyond, dst=beyond))


def reduced(values: FloatMap) -> FloatMap:
    """`values` at half the size, smoothed."""
    return as_floats(cv2.pyrDown(values))


def halved(values: FloatMap) -> FloatMap:
    """Means of 2 x 2 pixels; the last row and column of an odd size count twice."""
    height, width = values.shape
    if height % 2 or width % 2:
        values = as_floats(
            cv2.copyMakeBorder(values, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        )
    half = (width + 1) // 2, (height + 1) // 2
    return as_floats(cv2.resize(values, half, interpolation=cv2.INTER_AREA))


def doubled(values: FloatMap) -> FloatMap:
    """Values at twice the size, between which it is interpolated."""
    size = 2 * values.shape[1], 2 * values.shape[0]
    return as_floats(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR))


def doubled_rows(half: FloatMap, top: int, bottom: int, width: int) -> FloatMap:
    """Rows of a half-size map at full size, `width` wide; `top` is even."""
    first = max(top // 2 - 1, 0)
    whole = doubled(half[first : (bottom + 1) // 2 + 1])
    return whole[top - 2 * first : bottom - 2 * first, :width]
