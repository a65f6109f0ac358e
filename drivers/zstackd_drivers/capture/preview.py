"""Small grey frames for focusing and for looking, made from whole ones."""

from typing import Any

import cv2
from numpy.typing import NDArray

from zstackd_drivers.camera import Image

LONGEST_PX = 640
"""No side of a preview is longer, in pixels."""

COLOUR_AXES = 3


def preview_size_px(size_px: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the preview of frames of `size_px`; even, never larger than they are."""
    factor = min(1.0, LONGEST_PX / max(size_px))
    width, height = (max(2, 2 * round(side * factor / 2)) for side in size_px)
    return min(width, size_px[0]), min(height, size_px[1])


def luminance(image: Image) -> Image:
    """Return (H, W) grey values of the dtype of `image` (H, W) or (H, W, 3) blue, green, red."""
    if image.ndim < COLOUR_AXES:
        return image
    return _image(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))


def preview_of(image: Image) -> Image:
    """Return the preview (h, w) of a whole image: its luminance, averaged down."""
    height, width = image.shape[:2]
    size_px = preview_size_px((width, height))
    return luminance(_image(cv2.resize(image, size_px, interpolation=cv2.INTER_AREA)))


def _image(pixels: NDArray[Any]) -> Image:
    """Return what OpenCV made of an image as the image it is."""
    return pixels
