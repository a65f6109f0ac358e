"""A lens with a circular aperture looks at a plate above textured ground."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.types import FloatMap, Image, as_floats, as_image

GAMMA = 2.2


@dataclass(frozen=True, slots=True)
class Plate:
    """Frames from the farthest plane on, and what is true; `ground` (H, W) tells where it is."""

    frames: list[Image]
    truth: FloatMap
    ground: NDArray[np.bool_]


def texture(rng: np.random.Generator, side_px: int) -> FloatMap:
    """Mean 0, standard deviation 1, amplitude falling with frequency (side, side)."""
    spectrum = np.fft.rfft2(rng.standard_normal((side_px, side_px)))
    across = np.hypot(np.fft.fftfreq(side_px)[:, None], np.fft.rfftfreq(side_px))
    values = np.fft.irfft2(spectrum / np.maximum(across, 1 / side_px), s=(side_px, side_px))
    return as_floats((values - values.mean()) / values.std())


def disc(image: FloatMap, radius_px: float) -> FloatMap:
    """Spread by a uniform disc."""
    if radius_px < 0.2:
        return image
    side = np.arange(-int(radius_px + 1), int(radius_px + 1) + 1)
    inside = np.clip(radius_px + 0.5 - np.hypot(side[:, None], side), 0, 1)
    kernel = as_floats(inside / inside.sum())
    return as_floats(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT))


def plate(*, planes: int = 15, growth_px: float = 1.5, brightness: float = 0.6) -> Plate:
    """A plate in the last plane but one above ground in the second; light 0 to 1."""
    rng = np.random.default_rng(5)
    side_px = 320
    ground = as_floats(0.12 * np.exp(0.25 * texture(rng, side_px)))
    own = as_floats(brightness * np.exp(0.15 * texture(rng, side_px)))
    cover = np.zeros((side_px, side_px), np.float32)
    cover[100:220, 90:230] = 1
    frames = []
    for plane in range(planes):
        far, near = (growth_px * abs(plane - height) for height in (1, planes - 2))
        light = disc(ground, far) * (1 - disc(cover, near)) + disc(own * cover, near)
        noisy = light + 0.002 * rng.standard_normal(light.shape)
        frames.append(encoded(as_floats(noisy)))
    truth = as_floats(255 * (ground * (1 - cover) + own * cover) ** (1 / GAMMA))
    return Plate(frames, truth, cover == 0)


def encoded(light: FloatMap) -> Image:
    """Light as a camera writes it, 8 bits."""
    return as_image(np.rint(255 * np.clip(light, 0, 1) ** (1 / GAMMA)).astype(np.uint8))


def halo_levels(image: Image, scene: Plate) -> float:
    """RMS of the smooth part of the error on the ground 3 to 20 px outside the plate."""
    apart = cv2.distanceTransform(scene.ground.astype(np.uint8), cv2.DIST_L2, 5)
    ring = (apart > 3) & (apart < 20)
    weight = cv2.GaussianBlur(ring.astype(np.float32), (0, 0), 2)
    smooth = cv2.GaussianBlur((image - scene.truth) * ring, (0, 0), 2)
    return float(np.sqrt(np.mean((smooth[ring] / weight[ring]) ** 2)))
