"""Running sums become an image: blend, restore what blending damped, take off noise.

The blend of a place's sharp planes with their slightly blurred neighbours is weaker than the
sharp one; the ratio of amplitudes tells by how much (matched filtering). Then noise is taken off
luminance and colour differences apart. The finest detail is done in strips, by all cores; see
`zstackd_stacking.finest`.
"""

from typing import Any, Final

import cv2
import numpy as np

from zstackd_stacking.channels import Channels, apart, together
from zstackd_stacking.finest import Finest, measured_finest
from zstackd_stacking.fuse import Sums, blend, noise_share, restoring
from zstackd_stacking.noise import NoiseLevel
from zstackd_stacking.pyramid import collapse, enlarged
from zstackd_stacking.shrink import MOST_NOISE, kept, local_energy, noise_variance
from zstackd_stacking.types import Image, as_floats, as_image
from zstackd_stacking.workers import mapped

STRIP_ROWS: Final = 256
SHRUNK_LEVELS: Final = 3
_MARGIN_ROWS: Final = 16
_COLOUR: Final = 3


def finished(sums: Sums, noise: NoiseLevel, dtype: np.dtype[Any]) -> Image:
    """The fused image, (H, W) or (H, W, 3), rounded and clamped to `dtype`."""
    unit = 257.0 if dtype == np.uint16 else 1.0
    half = _half_image(sums, noise, unit)
    finest = measured_finest(sums, half, noise, unit)
    height, width = finest.shape
    image = np.empty((height, width, len(half)), dtype)

    def fill(top: int) -> None:
        bottom = min(top + STRIP_ROWS, height)
        image[top:bottom] = _strip(finest, half, top, bottom, dtype)

    mapped(fill, range(0, height, STRIP_ROWS))
    return as_image(image if len(half) == _COLOUR else image[..., 0])


def reduced_image(sums: Sums, level: int, dtype: np.dtype[Any]) -> Image:
    """The fused image at 1/2**`level` of its size, without the finishing touches."""
    top = float(np.iinfo(dtype).max)
    level = min(level, len(sums.weights) - 1)
    planes = [
        collapse([blend(bands[i], sums.weights[i]) for i in range(level, len(bands))])
        for bands in sums.channels
    ]
    image = np.clip(np.rint(np.stack(planes, axis=-1)), 0, top).astype(dtype)
    return as_image(image if len(planes) == _COLOUR else image[..., 0])


def _half_image(sums: Sums, noise: NoiseLevel, unit: float) -> Channels:
    levels = range(1, len(sums.weights))
    bands = mapped(lambda level: _coarser_band(sums, level, noise, unit), levels)
    return [collapse(list(channel)) for channel in zip(*bands, strict=True)]


def _coarser_band(sums: Sums, level: int, noise: NoiseLevel, unit: float) -> Channels:
    parts = [blend(bands[level], sums.weights[level]) for bands in sums.channels]
    if level >= min(SHRUNK_LEVELS, len(sums.weights) - 1):
        return parts
    restored = restoring(sums, level)
    parts = apart([as_floats(cv2.multiply(part, restored)) for part in parts])
    share = noise_share(sums, level, restored)
    proven = noise.proven_variance(level) * unit * unit
    cleaned = []
    for part, factor in zip(parts, MOST_NOISE, strict=False):
        energy = local_energy(part)
        variance = noise_variance(energy, share, proven * factor)
        cleaned.append(as_floats(cv2.multiply(part, kept(energy, share, variance))))
    return together(cleaned)


def _strip(finest: Finest, half: Channels, top: int, bottom: int, dtype: np.dtype[Any]) -> Image:
    height = finest.shape[0]
    first, last = max(top - _MARGIN_ROWS, 0), min(bottom + _MARGIN_ROWS, height)
    depth = cv2.CV_16U if dtype == np.uint16 else cv2.CV_8U
    planes = []
    for part, coarse in zip(finest.rows(first, last), half, strict=True):
        up = enlarged(coarse[first // 2 : (last + 1) // 2], part)
        planes.append(as_image(cv2.add(part, up, dtype=depth))[top - first : bottom - first])
    return as_image(np.stack(planes, axis=-1))
