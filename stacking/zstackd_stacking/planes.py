"""Split an image into luminance and half-size colour differences, and back."""

from typing import Any, Final

import cv2
import numpy as np

from zstackd_stacking.geometry import Matrix, rescale
from zstackd_stacking.types import FloatMap, Image, as_image

Planes = tuple[Image, ...]
"""Luminance (H, W), then for colour the differences Cr and Cb ((H+1)//2, (W+1)//2)."""

_COLOUR_NDIM: Final = 3


def luma(image: Image) -> Image:
    """Luminance (H, W) in the dtype of the image."""
    return (
        as_image(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)) if image.ndim == _COLOUR_NDIM else image
    )


def split(image: Image, luminance: Image) -> Planes:
    """Planes of an image whose luminance is known already."""
    if image.ndim != _COLOUR_NDIM:
        return (luminance,)
    half = cv2.cvtColor(cv2.pyrDown(image), cv2.COLOR_BGR2YCrCb)
    return luminance, as_image(half[..., 1]), as_image(half[..., 2])


def warp_planes(planes: Planes, matrix: Matrix) -> Planes:
    """Planes in reference coordinates; what lies outside the frame repeats its border."""
    return tuple(
        as_image(
            cv2.warpAffine(
                plane,
                rescale(matrix, 1.0 if i == 0 else 0.5),
                (plane.shape[1], plane.shape[0]),
                flags=cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REPLICATE,
            )
        )
        for i, plane in enumerate(planes)
    )


def join(planes: tuple[FloatMap, ...], dtype: np.dtype[Any]) -> Image:
    """The image of float32 planes (colour differences about 0), rounded and clamped to `dtype`."""
    top = float(np.iinfo(dtype).max)
    luminance = planes[0]
    if len(planes) == 1:
        return np.rint(np.clip(luminance, 0, top)).astype(dtype)
    size = luminance.shape[1], luminance.shape[0]
    red, blue = (cv2.pyrUp(plane, dstsize=size) for plane in planes[1:])
    channels = (
        luminance + 1.773 * blue,
        luminance - 0.714 * red - 0.344 * blue,
        luminance + 1.403 * red,
    )
    return np.rint(np.clip(cv2.merge(channels), 0, top)).astype(dtype)
