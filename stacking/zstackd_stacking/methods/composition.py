"""An image put together from the two planes around each place's height.

The shares of planes are worked out at half size and enlarged: on a slope they pass evenly from one
plane to the next. Where heights step from one pixel of that size to the next, the two planes of
the step cross over; those in between, blurred on both sides, are not brought in.
"""

from typing import Any, Final

import cv2
import numpy as np

from zstackd_stacking.methods.intake import Placed
from zstackd_stacking.planes import split
from zstackd_stacking.pyramid import doubled
from zstackd_stacking.types import FloatMap, Image, as_floats, as_image

_FALLBACK: Final = np.float32(1e-6)
_SOFTENED_PX: Final = 0.6


class Composition:
    """Sums of pixels and shares; `places` (half size) are heights in planes, counted from 0.

    The plane `reference` stands in where no other one has pixels.
    """

    def __init__(self, places: FloatMap, reference: int) -> None:
        self._places = places
        self._reference = reference
        self._totals: list[FloatMap] = []
        self._shares: FloatMap = np.zeros(0, np.float32)

    def add(self, placed: Placed, plane: int) -> None:
        """Add a frame that is plane `plane`."""
        channels = split(placed.moved_image())
        height, width = channels[0].shape
        if not self._totals:
            self._shares = np.zeros((height, width), np.float32)
            self._totals = [np.zeros_like(self._shares) for _ in channels]
        share = self._share(plane)
        if placed.coverage is not None:
            share *= placed.coverage
        if plane == self._reference:
            share += _FALLBACK
        share = doubled(share)[:height, :width]
        cv2.accumulate(share, self._shares)
        share *= np.float32(placed.gain)
        for total, channel in zip(self._totals, channels, strict=True):
            cv2.accumulateProduct(as_floats(channel), share, total)

    def image(self, dtype: np.dtype[Any]) -> Image:
        """The image so far, (H, W) or (H, W, 3), rounded and clamped to `dtype`."""
        depth = cv2.CV_16U if dtype == np.uint16 else cv2.CV_8U
        planes = [as_image(cv2.divide(total, self._shares, dtype=depth)) for total in self._totals]
        return planes[0] if len(planes) == 1 else as_image(cv2.merge(planes))

    def _share(self, plane: int) -> FloatMap:
        distance = np.abs(self._places - np.float32(plane))
        share = as_floats(np.maximum(1 - distance, 0))
        return as_floats(cv2.GaussianBlur(share, (0, 0), _SOFTENED_PX))
