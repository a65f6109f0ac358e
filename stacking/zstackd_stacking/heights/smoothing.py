"""A height map made smooth, its steps drawn along the edges of a picture.

Source: K. He, J. Sun and X. Tang, "Guided image filtering", IEEE PAMI 35 (2013), with weights.
"""

from typing import Final

import cv2
import numpy as np

from zstackd_stacking.types import FloatMap, as_floats

_MEDIAN: Final = 5
_SIDE: Final = 9
_FAINT_LEVELS: Final = 12.0
_LEAST_WEIGHT: Final = 0.02
_SMOOTHED: Final = 0.7


def smoothed(places: FloatMap, sure: FloatMap, guide: FloatMap) -> FloatMap:
    """Heights in planes (H, W) without outliers, weighted by `sure` (0 to 1).

    `guide` is the picture, in 8-bit levels. Where the guided mean is far from the height it is a
    mean across a step, which is no height of anything, and is not taken.
    """
    steady = as_floats(cv2.medianBlur(places, _MEDIAN))
    even = guided(steady, sure, guide)
    return np.where(np.abs(even - steady) < np.float32(_SMOOTHED), even, steady)


def guided(values: FloatMap, sure: FloatMap, guide: FloatMap) -> FloatMap:
    """The values as a locally linear function of the guide, by weighted least squares."""
    weight = as_floats(np.maximum(sure, _LEAST_WEIGHT))
    total = _boxed(weight)
    mean_guide = _boxed(weight * guide) / total
    mean_value = _boxed(weight * values) / total
    variance = _boxed(weight * guide * guide) / total - mean_guide * mean_guide
    both = _boxed(weight * guide * values) / total - mean_guide * mean_value
    slope = as_floats(both / (np.maximum(variance, 0) + np.float32(_FAINT_LEVELS**2)))
    level = as_floats(mean_value - slope * mean_guide)
    return as_floats((_boxed(slope * weight) * guide + _boxed(level * weight)) / total)


def _boxed(values: FloatMap) -> FloatMap:
    return as_floats(cv2.blur(values, (_SIDE, _SIDE), borderType=cv2.BORDER_REFLECT_101))
