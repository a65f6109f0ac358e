"""What a sensor shows by itself: stuck lines and single pixels. It stays where the subject moves.

A line that holds one level from end to end is no part of a picture, and neither is a single pixel
that stands out: a lens spreads every point over more than one.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.types import Image, as_image

_STUCK_LEVELS: Final = 6
"""Most by which a stuck line varies from end to end, in 8-bit levels: what JPEG does to it."""
_STUCK_SHARE: Final = 1 / 4
"""And the share of what lines usually vary by: in 12 bits of 16 none varies by many levels."""
_HOT_LEVELS: Final = 32
"""By how much a pixel must stand out of those around it, in 8-bit levels."""
_SPILL_PX: Final = 2
"""How far a stuck line reaches into its neighbours, by overflow and interpolated colour."""
_WIDEST_OF_SIDE: Final = 1 / 8
"""What is wider is an evenly lit part of the picture."""


def without_defects(luminance: Image, unit: float) -> Image:
    """The image (H, W), its stuck lines bridged and its single pixels taken out.

    `unit` is one 8-bit level in its own levels.
    """
    image = _without_columns(luminance, unit)
    if _stuck(image, 1, unit).any():
        image = _transposed(_without_columns(_transposed(image), unit))
    return _without_pixels(image, unit)


def _without_pixels(image: Image, unit: float) -> Image:
    middle = cv2.medianBlur(image, 3)
    bound = _HOT_LEVELS * unit
    if cv2.norm(image, middle, cv2.NORM_INF) <= bound:
        return image
    ordinary = cv2.inRange(cv2.absdiff(image, middle), 0, bound)
    return as_image(cv2.copyTo(image, ordinary, middle))


def _without_columns(image: Image, unit: float) -> Image:
    bad = _spilled(_stuck(image, 0, unit))
    if not bad.any() or bad.all():
        return image
    x, good = np.arange(image.shape[1]), np.flatnonzero(~bad)
    place = np.interp(x[bad], good, np.arange(len(good)))
    left, share = place.astype(np.intp), (place % 1).astype(np.float32)
    right = np.minimum(left + 1, len(good) - 1)
    mended = image.copy()
    between = image[:, good[left]] * (1 - share) + image[:, good[right]] * share
    mended[:, bad] = np.rint(between).astype(image.dtype)
    return mended


def _stuck(image: Image, axis: int, unit: float) -> NDArray[np.bool_]:
    """Which columns (axis 0) or rows (axis 1) hold one level."""
    spread = image.max(axis=axis).astype(np.int64) - image.min(axis=axis)
    usual = float(np.median(spread))
    return np.asarray(spread <= min(_STUCK_LEVELS * unit, _STUCK_SHARE * usual))


def _spilled(stuck: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The narrow ones among these lines, with what they spill over."""
    bad = np.zeros_like(stuck)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], stuck, [False]])))
    for first, end in ends.reshape(-1, 2):
        if end - first <= _WIDEST_OF_SIDE * len(stuck):
            bad[max(first - _SPILL_PX, 0) : end + _SPILL_PX] = True
    return bad


def _transposed(image: Image) -> Image:
    return as_image(cv2.transpose(image))
