"""Bounds on the values of a map; numpy's own functions take twice as long for them."""

from typing import Any, Final

import cv2

from zstackd_stacking.types import FloatMap, as_floats

_cv2: Final[Any] = cv2
"""Its type hints know of no bounds that are numbers."""


def at_least(values: FloatMap, least: float, *, out: FloatMap | None = None) -> FloatMap:
    """Values below `least` become that; in a new map, or in `out`."""
    return as_floats(_cv2.max(values, float(least), dst=out))


def at_most(values: FloatMap, most: float, *, out: FloatMap | None = None) -> FloatMap:
    """Values above `most` become that; in a new map, or in `out`."""
    return as_floats(_cv2.min(values, float(most), dst=out))
