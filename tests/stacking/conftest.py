"""Small rendered stacks whose truth is known."""

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Image = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Rendered:
    """Frames in order of z, the sharp image (levels 0 to 255), and depth in planes."""

    frames: list[Image]
    sharp: Floats
    depth: Floats
    motion: list[NDArray[np.float64]]
    """For each frame the transform (2, 3) that takes reference pixels to frame pixels."""


def _surface(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    layers = []
    for size in (1.0, 3.0, 9.0, 40.0):
        noise = cv2.GaussianBlur(rng.standard_normal((*shape, 3), np.float32), (0, 0), size)
        layers.append(noise / noise.std() * (8 + 4 * size**0.4))
    grey = np.sum(layers, axis=0).mean(axis=2, keepdims=True)
    colour = np.sum(layers[2:], axis=0)
    return np.asarray(np.clip(120 + 1.5 * grey + 0.4 * colour, 5, 250), np.float32)


@dataclass(frozen=True)
class _Copies:
    """A picture blurred with sigma 0.7, 1.2, … px, each made once."""

    sharp: Floats
    made: dict[float, Floats] = field(default_factory=dict)

    def blurred(self, sigma: float) -> Floats:
        if sigma not in self.made:
            self.made[sigma] = np.asarray(cv2.GaussianBlur(self.sharp, (0, 0), sigma), np.float32)
        return self.made[sigma]


def _blurred(copies: _Copies, depth: Floats, plane: float, slope_px: float) -> Floats:
    """Blur by gathering between the copies."""
    sigma = np.sqrt(0.49 + (slope_px * (depth - plane)) ** 2)
    steps = np.arange(0.7, sigma.max() + 0.6, 0.5)
    level = (sigma - steps[0]) / 0.5
    picture = np.zeros_like(copies.sharp)
    for i, step in enumerate(steps):
        share = np.maximum(0, 1 - np.abs(level - i))[..., None].astype(np.float32)
        if share.any():
            picture += share * copies.blurred(float(step))
    return picture


def _motion(
    plane: int, count: int, middle: int, size: tuple[int, int], strength: float
) -> NDArray[np.float64]:
    """Breathing of +-3 %, drift of +-20 px and rotation of +-1 degree between the ends."""
    along = strength * 2 * (plane - middle) / max(count - 1, 1)
    centre = size[1] / 2, size[0] / 2
    turn = np.array(cv2.getRotationMatrix2D(centre, along * 0.5, 1 + 0.015 * along), np.float64)
    turn[:, 2] += np.array((10 * along, -10 * np.sin(along * 1.4)))
    return turn


def render(
    *,
    planes: int = 9,
    shape: tuple[int, int] = (240, 320),
    noise: float = 1.5,
    motion: float = 0.0,
    flicker: float = 0.0,
    seed: int = 1,
    slope_px: float = 0.8,
    colour: bool = True,
    dtype: type = np.uint8,
    relief: str = "tilt",
) -> Rendered:
    """A textured relief across the whole z-range, seen through a lens with shallow focus."""
    rng = np.random.default_rng(seed)
    pad = 48 if motion else 0
    canvas = shape[0] + 2 * pad, shape[1] + 2 * pad
    surface = _surface(rng, canvas)
    y, x = np.mgrid[: canvas[0], : canvas[1]].astype(np.float32)
    if relief == "tilt":
        depth = (planes - 1) * np.clip((x - pad) / shape[1], 0, 1)
    else:
        waves = np.sin(x / canvas[1] * 7) * np.cos(y / canvas[0] * 5)
        depth = (planes - 1) * (0.5 + 0.48 * waves)
    depth = depth.astype(np.float32)
    inner = slice(pad, pad + shape[0]), slice(pad, pad + shape[1])
    sharp = np.asarray(cv2.GaussianBlur(surface, (0, 0), 0.7), np.float32)
    frames, motions, copies = [], [], _Copies(surface)
    top = float(np.iinfo(dtype).max)
    for plane in range(planes):
        picture = _blurred(copies, depth, plane, slope_px)
        matrix = _motion(plane, planes, planes // 2, shape, motion)
        if motion:
            outer = matrix.copy()
            outer[:, 2] = matrix[:, :2] @ (-pad, -pad) + matrix[:, 2]
            moved = cv2.warpAffine(picture, outer, shape[::-1], flags=cv2.INTER_LANCZOS4)
            picture = np.asarray(moved, np.float32)
        light = 1 + flicker * np.sin(2.1 * plane)
        picture = picture * light + noise * rng.standard_normal(picture.shape, np.float32)
        if not colour:
            picture = picture.mean(axis=2)
        frames.append(np.clip(np.rint(picture * top / 255), 0, top).astype(dtype))
        motions.append(matrix)
    truth = sharp[inner] if colour else np.asarray(sharp[inner].mean(axis=2), np.float32)
    return Rendered(frames, truth, depth[inner], motions)


@pytest.fixture(scope="session")
def rendered() -> Callable[..., Rendered]:
    """`render`, for tests."""
    return render
