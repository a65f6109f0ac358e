"""Gaussian and Laplacian pyramids (Burt and Adelson 1983)."""

from typing import Final

import cv2

from zstackd_stacking.types import FloatMap, Image, as_floats, as_image

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


def gaussian(image: Image, levels: int) -> list[Image]:
    """`levels` + 1 images, each half the size of the one before."""
    images = [image]
    for _ in range(levels):
        images.append(as_image(cv2.pyrDown(images[-1])))
    return images


def enlarged(coarse: FloatMap | Image, like: FloatMap | Image) -> FloatMap | Image:
    """`coarse` brought to the size of the next finer level, that of `like`."""
    up = cv2.pyrUp(coarse, dstsize=(like.shape[1], like.shape[0]))
    return as_floats(up) if coarse.dtype.kind == "f" else as_image(up)


def band(fine: Image, coarse: Image) -> FloatMap:
    """What `fine` has beyond `coarse`, float32."""
    return as_floats(cv2.subtract(fine, enlarged(coarse, fine), dtype=cv2.CV_32F))


def reduced(values: FloatMap) -> FloatMap:
    """`values` at half the size."""
    return as_floats(cv2.pyrDown(values))


def collapse(bands: list[FloatMap]) -> FloatMap:
    """The image of its bands, finest first, the low-pass rest last."""
    image = bands[-1]
    for fine in reversed(bands[:-1]):
        image = as_floats(cv2.add(fine, enlarged(image, fine)))
    return image
