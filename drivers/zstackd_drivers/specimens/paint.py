"""Brushes that every specimen uses: grain, relief lit from the side, soft shapes."""

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_drivers.specimens.specimen import Bytes, Floats

Rng = np.random.Generator
Rgb = tuple[int, int, int]


def grid(size_px: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return x as one row and y as one column, in pixels; they broadcast to the canvas."""
    width, height = size_px
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    return x, y


def grain(rng: Rng, *, size_px: tuple[int, int], scale_px: float, octaves: int = 1) -> Floats:
    """Return smooth random values (H, W), mean 0, deviation about 1, of one grain size upwards.

    Each further octave halves the grain size and its weight.
    """
    width, height = size_px
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cell = scale_px / 2**octave
        grid = rng.standard_normal(
            (int(height / cell) + 3, int(width / cell) + 3), dtype=np.float32
        )
        full = (int(grid.shape[1] * cell) + 1, int(grid.shape[0] * cell) + 1)
        blown = cv2.resize(grid, full, interpolation=cv2.INTER_CUBIC)
        total += blown[:height, :width] * 0.5**octave
    return total


def lit(relief: Floats, *, strength: float) -> Floats:
    """Return the shading (H, W) about 1 of a relief in pixels, lit from the upper left."""
    across = cv2.Sobel(relief, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(relief, cv2.CV_32F, 0, 1, scale=1 / 8)
    slope = strength * (across + down)
    return np.asarray(1 + slope / np.sqrt(1 + slope**2), np.float32)


def tinted(brightness: Floats, colour_rgb: Rgb) -> Floats:
    """Return (H, W, 3) blue, green, red values 0 to 255 of a colour at a brightness."""
    red, green, blue = colour_rgb
    return np.asarray(
        cv2.merge([brightness * np.float32(c) for c in (blue, green, red)]), np.float32
    )


def to_bytes(values: NDArray[np.float32]) -> Bytes:
    """Return values 0 to 255 as uint8, rounded; what lies outside is black or white."""
    return np.asarray(np.rint(np.clip(values, 0, 255)), np.uint8)


def soft_edge(distance_px: Floats) -> Bytes:
    """Return alpha (H, W) uint8 from a signed distance in pixels, inside positive."""
    return np.asarray((np.clip(distance_px + 0.5, 0, 1) * 255).astype(np.uint8))


def blended(first: Floats, second: Floats, share: Floats) -> Floats:
    """Return two colours (H, W, 3) mixed; `share` (H, W) 0 to 1 is how much of the second."""
    return np.asarray(first + (second - first) * share[..., None], np.float32)


def ramp(position: Floats, stops: tuple[tuple[float, Rgb], ...]) -> Floats:
    """Return colours (H, W, 3) blue, green, red from a ramp of stops at positions 0 to 1."""
    steps = np.linspace(0, 1, 256)
    places = [place for place, _ in stops]
    table = [np.interp(steps, places, [rgb[i] for _, rgb in stops]) for i in (2, 1, 0)]
    index = np.clip(position * 255, 0, 255).astype(np.uint8)
    colours = np.stack(table, axis=-1).astype(np.float32).reshape(256, 1, 3)
    return np.asarray(cv2.LUT(cv2.merge((index, index, index)), colours), np.float32)


def shadowed(colour: Floats, alpha: Bytes, *, reach_px: float) -> Floats:
    """Return `colour` darkened around and under what lies above it."""
    small = cv2.resize(alpha, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), reach_px / 4)
    depth = cv2.resize(soft, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(colour * (1 - 0.55 / 255 * depth.astype(np.float32))[..., None], np.float32)
