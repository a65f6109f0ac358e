"""Channels of a colour image as luminance and colour differences, and back; float32."""

from typing import Final

import cv2

from zstackd_stacking.types import FloatMap, as_floats

Channels = list[FloatMap]
"""Blue, green, red; or luminance, red minus luminance, blue minus luminance; or grey alone."""

_BLUE: Final = 0.114
_GREEN: Final = 0.587
_RED: Final = 0.299
_COLOUR: Final = 3


def apart(channels: Channels) -> Channels:
    """Luminance, red minus luminance, blue minus luminance."""
    if len(channels) != _COLOUR:
        return channels
    blue, green, red = channels
    luma = cv2.addWeighted(green, _GREEN, red, _RED, 0)
    luma = as_floats(cv2.scaleAdd(blue, _BLUE, luma))
    return [luma, as_floats(cv2.subtract(red, luma)), as_floats(cv2.subtract(blue, luma))]


def together(parts: Channels) -> Channels:
    """Blue, green and red."""
    if len(parts) != _COLOUR:
        return parts
    luma, red, blue = parts
    green = cv2.addWeighted(red, -_RED / _GREEN, blue, -_BLUE / _GREEN, 0)
    return [as_floats(cv2.add(part, luma)) for part in (blue, as_floats(green), red)]
