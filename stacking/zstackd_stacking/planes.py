"""Frames as luminance and as planes of one channel each, and their move into another geometry."""

from typing import Final

import cv2

from zstackd_stacking.geometry import Matrix
from zstackd_stacking.types import Image, as_image

_COLOUR_NDIM: Final = 3


def luma(image: Image) -> Image:
    """Luminance (H, W) in the dtype of the image."""
    if image.ndim != _COLOUR_NDIM:
        return image
    return as_image(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))


def split(image: Image) -> tuple[Image, ...]:
    """The image's channels, each (H, W)."""
    if image.ndim != _COLOUR_NDIM:
        return (image,)
    return tuple(as_image(plane) for plane in cv2.split(image))


def warped(image: Image, matrix: Matrix) -> Image:
    """The image in reference coordinates; what lies outside the frame repeats its border."""
    size = image.shape[1], image.shape[0]
    moved = cv2.warpAffine(
        image, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return as_image(moved)
