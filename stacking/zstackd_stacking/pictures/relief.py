"""Relief shading: heights as a surface lit from the upper left.

Source: B. Horn, "Hill shading and the reflectance map", Proc. IEEE 69 (1981): slopes from eight
neighbours, and a matt surface whose brightness is the cosine between its normal and the light.
"""

import math
from typing import Final

import cv2
import numpy as np

from zstackd_stacking.types import FloatMap, as_floats

LEVEL: Final = math.sqrt(0.5)
"""The brightness of level ground."""

_LIGHT: Final = (-0.5, -0.5, LEVEL)
"""Towards the light in image axes (right, down, up): upper left, 45 degrees above the horizon."""

_STEEP_SHARE: Final = 85
_STEEP: Final = 1.0
_RANGE_SHARE: Final = (2, 98)
_STEEP_RISES: Final = 8
_SOBEL_GAIN: Final = 8
_SMOOTHING_PX: Final = 1.2
_SAMPLED_SIDE_PX: Final = 1024


def shading(heights: FloatMap) -> FloatMap:
    """Brightness (H, W) float32, 0 to 1, of the surface that `heights` (H, W) float32 describe.

    The surface is exaggerated so that its steep places (the 85th percentile of its slopes) stand
    at 45 degrees: the picture is for the eye, whatever the unit of the heights. Where hardly
    anything is steep, a rise by the whole range of heights within an eighth of the picture does:
    terraces and a tilted board have their noise not blown up. Level ground has `LEVEL`. Single
    noisy pixels are smoothed away.
    """
    smooth = cv2.GaussianBlur(heights, (0, 0), _SMOOTHING_PX)
    across = as_floats(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3))
    down = as_floats(cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3))
    some = (slice(None, None, max(1, max(heights.shape) // _SAMPLED_SIDE_PX)),) * 2
    usual = float(np.percentile(np.hypot(across[some], down[some]), _STEEP_SHARE))
    rise = float(np.ptp(np.percentile(smooth[some], _RANGE_SHARE))) * _SOBEL_GAIN
    steep = max(usual, rise * _STEEP_RISES / max(heights.shape))
    factor = _STEEP / steep if steep > 0 else 0.0
    right, below, up = _LIGHT
    towards = cv2.addWeighted(across, -right * factor, down, -below * factor, up)
    slope = cv2.magnitude(across, down)
    length = cv2.sqrt(cv2.multiply(slope, slope, scale=factor * factor) + np.float32(1))
    return as_floats(np.clip(cv2.divide(towards, length), 0, 1))
