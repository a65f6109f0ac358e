"""Colours for heights: viridis, which is perceptually uniform and safe for the colour-blind.

Source: S. van der Walt and N. Smith, "A better default colormap for matplotlib", SciPy 2015.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.types import FloatMap

_STEPS: Final = 256
_MUTED_TOWARDS: Final = 96
_MUTED_SHARE: Final = 0.75
_SURE: Final = 0.5


def viridis() -> NDArray[np.uint8]:
    """The colour map, (256, 3) uint8 BGR, low to high."""
    ramp = np.arange(_STEPS, dtype=np.uint8).reshape(-1, 1)
    return np.asarray(cv2.applyColorMap(ramp, cv2.COLORMAP_VIRIDIS), np.uint8).reshape(_STEPS, 3)


def levels(heights: FloatMap, *, low: float, high: float) -> NDArray[np.uint8]:
    """Heights (H, W) as places on the colour map; what lies beyond the range takes its end.

    A single height is in the middle, where the legend has it.
    """
    if not high > low:
        return np.full(heights.shape, _STEPS // 2, np.uint8)
    scale = (_STEPS - 1) / (high - low)
    above = np.clip(heights - np.float32(low), 0, high - low)
    return np.asarray(cv2.convertScaleAbs(above, alpha=scale), np.uint8)


def coloured(heights: FloatMap, *, low: float, high: float) -> NDArray[np.uint8]:
    """Heights (H, W) as colours (H, W, 3) uint8 BGR; what lies beyond the range takes its end."""
    places = levels(heights, low=low, high=high)
    return np.asarray(cv2.applyColorMap(places, cv2.COLORMAP_VIRIDIS), np.uint8)


def muted(picture: NDArray[np.uint8], confidence: FloatMap) -> NDArray[np.uint8]:
    """`picture` faded towards grey where `confidence` (H, W; 0 to 1) falls below one half."""
    doubt = np.clip(1 - confidence * np.float32(1 / _SURE), 0, 1) * np.float32(_MUTED_SHARE)
    grey = np.full_like(picture, _MUTED_TOWARDS)
    return np.asarray(cv2.blendLinear(picture, grey, 1 - doubt, doubt), np.uint8)
