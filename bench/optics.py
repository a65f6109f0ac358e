"""What lens and sensor do to a scene: defocus, geometry, light, noise, encoding."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rng = np.random.Generator

GAMMA = 2.2
IN_FOCUS_SIGMA_PX = 0.7
"""Blur of the lens at best focus; part of every frame and of the truth."""
_REDUCE_ABOVE_PX = 7.0


@lru_cache(maxsize=512)
def _disc(radius_px: float) -> Floats:
    """Uniform disc of unit sum with an antialiased rim."""
    size = 2 * int(np.ceil(radius_px + 0.5)) + 1
    offset = (np.arange(size * 8) + 0.5) / 8 - size / 2
    inside = (np.hypot(offset[:, None], offset[None, :]) <= radius_px).astype(np.float32)
    kernel = inside.reshape(size, 8, size, 8).mean(axis=(1, 3))
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def defocus(image: Floats, radius_px: float, *, border: int = cv2.BORDER_REFLECT) -> Floats:
    """Blur with a disc of `radius_px`, the defocus of a circular aperture."""
    if radius_px < 0.15:
        return image
    if radius_px > _REDUCE_ABOVE_PX:
        return _defocus_reduced(image, radius_px, border)
    kernel = _disc(round(radius_px, 2))
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=border), np.float32)


def _defocus_reduced(image: Floats, radius_px: float, border: int) -> Floats:
    """The same on half the pixels: a wide disc leaves no detail that needs them all."""
    height, width = image.shape[:2]
    even = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, border)
    half = cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    blurred = defocus(np.asarray(half, np.float32), radius_px / 2, border=border)
    size = (even.shape[1], even.shape[0])
    full = cv2.resize(blurred, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(full[:height, :width], np.float32)


def in_focus(image: Floats) -> Floats:
    """What the lens makes of a surface at best focus."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), IN_FOCUS_SIGMA_PX), np.float32)


def encode(linear: Floats) -> Floats:
    """Linear light to levels 0 to 255 of an ordinary picture, not yet rounded."""
    return np.asarray(255 * np.clip(linear, 0, 1) ** (1 / GAMMA), np.float32)


@dataclass(frozen=True, slots=True)
class Sensor:
    """Noise in linear light: variance = shot * light + read**2."""

    shot: float = 1.6e-4
    read: float = 0.0008

    def expose(self, linear: Floats, rng: Rng) -> NDArray[np.uint8]:
        """Frame of 8 bits with noise that is slightly correlated, as after demosaicing."""
        noise = rng.standard_normal(linear.shape, dtype=np.float32)
        noise = np.asarray(cv2.GaussianBlur(noise, (3, 3), 0.45), np.float32)
        noise /= noise.std()
        sigma = np.sqrt(self.shot * np.maximum(linear, 0) + self.read**2)
        return np.asarray(np.rint(encode(np.asarray(linear + sigma * noise, np.float32))), np.uint8)


def vignette(size_px: tuple[int, int], loss: float) -> Floats:
    """Relative light over the frame, (H, W, 1): 1 in the centre, 1 - `loss` in the corners."""
    width, height = size_px
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    r2 = ((x - width / 2) ** 2 + (y - height / 2) ** 2) / ((width / 2) ** 2 + (height / 2) ** 2)
    return np.asarray(1 - loss * (0.6 * r2 + 0.4 * r2**2), np.float32)[..., None]
