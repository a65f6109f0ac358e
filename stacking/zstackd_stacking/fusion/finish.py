"""Running sums become an image: blend, restore what blending damped, take off noise.

The blend of a place's sharp planes with their slightly blurred neighbours is weaker than the
sharp one; the ratio of amplitudes tells by how much (matched filtering). Then noise is taken off
luminance and colour differences apart. The finest detail is done in strips, by all cores; see
`zstackd_stacking.fusion.finest`.
"""

from typing import Any, Final

import cv2
import numpy as np

from zstackd_stacking.fusion.finest import Finest, measured_finest
from zstackd_stacking.fusion.fuse import Sums, blend, noise_share, restoring
from zstackd_stacking.fusion.noise import NoiseLevel
from zstackd_stacking.fusion.shrink import MOST_NOISE, kept, local_energy, noise_variance, slope
from zstackd_stacking.planes import BLUE, GREEN, RED, strips, widened
from zstackd_stacking.pyramid import enlarged
from zstackd_stacking.types import FloatMap, Image, as_floats, as_image
from zstackd_stacking.workers import mapped

SHRUNK_LEVELS: Final = 3
_DAMPED: Final = 1.0
_FEW_TAPS: Final = as_floats(np.array([1.0, 2.0, 1.0]) / 4)
Parts = list[FloatMap]
"""Luminance and, in colour, red and blue less luminance."""


def finished(sums: Sums, noise: NoiseLevel, dtype: np.dtype[Any]) -> Image:
    """The fused image, (H, W) or (H, W, 3), rounded and clamped to `dtype`."""
    unit = 257.0 if dtype == np.uint16 else 1.0
    half = _half_image(sums, noise, unit)
    finest = measured_finest(sums, half, noise, unit)
    shape = sums.shape if len(half) == 1 else (*sums.shape, 3)
    image = np.empty(shape, dtype)

    def fill(strip: tuple[int, int]) -> None:
        image[slice(*strip)] = _strip(finest, half, *strip, dtype)

    mapped(fill, strips(sums.shape))
    return as_image(image)


def reduced_image(sums: Sums, level: int, dtype: np.dtype[Any]) -> Image:
    """The fused image at 1/2**`level` of its size (`level` at least 1), without finishing."""
    level = min(max(level, 1), len(sums.weights) - 1)
    parts = []
    for totals in (sums.luma[1:], *sums.colours):
        part = blend(totals[-1], sums.weights[-1])
        for i in reversed(range(level, len(totals))):
            part = _joined(blend(totals[i - 1], sums.weights[i]), part)
        parts.append(part)
    return _rounded(parts, dtype)


def _half_image(sums: Sums, noise: NoiseLevel, unit: float) -> Parts:
    parts = [blend(totals[-1], sums.weights[-1]) for totals in (sums.luma, *sums.colours)]
    for level in reversed(range(1, len(sums.luma) - 1)):
        parts = _with_band(sums, level, parts, noise, unit)
    if sums.fine_colours:
        return parts
    return [parts[0], *(undamped(colour) for colour in parts[1:])]


def _with_band(sums: Sums, level: int, coarse: Parts, noise: NoiseLevel, unit: float) -> Parts:
    """The image with one more band, in which noise is shrunk where it still matters."""
    weight = sums.weights[level]
    totals = [sums.luma[level], *(bands[level - 1] for bands in sums.colours)]
    if level >= min(SHRUNK_LEVELS, len(sums.luma) - 1, len(sums.squares)):
        return [
            _joined(blend(total, weight), part) for total, part in zip(totals, coarse, strict=True)
        ]
    restored = restoring(sums, level)
    share = noise_share(sums, level, restored)
    factor = blend(restored, weight)
    proven = noise.proven_variance(level) * unit * unit

    def shrunk(part: FloatMap, most: float) -> FloatMap:
        energy = local_energy(part)
        variance = noise_variance(energy, share, proven * most)
        return as_floats(cv2.multiply(part, kept(energy, share, variance), dst=part))

    luma = shrunk(as_floats(cv2.multiply(totals[0], factor)), MOST_NOISE[0])

    def colour(number: int) -> FloatMap:
        foretold = enlarged(slope(coarse[0], coarse[number], unit), luma)
        cv2.multiply(foretold, luma, dst=foretold)
        rest = as_floats(cv2.multiply(totals[number], factor))
        rest = shrunk(as_floats(cv2.subtract(rest, foretold, dst=rest)), MOST_NOISE[number])
        return _joined(as_floats(cv2.add(foretold, rest, dst=rest)), coarse[number])

    return [_joined(luma, coarse[0]), *mapped(colour, range(1, len(coarse)))]


def undamped(colour: FloatMap) -> FloatMap:
    """A colour difference at half size, with what its reduction to that has damped.

    Reducing and enlarging leave a third of a detail of 6 px and two thirds of one of 10 px; in
    luminance the finest band makes up for it, which colour has not.
    """
    blurred = cv2.sepFilter2D(colour, cv2.CV_32F, _FEW_TAPS, _FEW_TAPS)
    return as_floats(cv2.addWeighted(colour, 1 + _DAMPED, blurred, -_DAMPED, 0))


def _joined(fine: FloatMap, coarse: FloatMap) -> FloatMap:
    whole = enlarged(coarse, fine)
    return as_floats(cv2.add(fine, whole, dst=whole))


def _strip(finest: Finest, half: Parts, top: int, bottom: int, dtype: np.dtype[Any]) -> Image:
    first, last = widened(top, bottom, finest.sums.shape[0])
    parts = [
        _joined(part, coarse[first // 2 : (last + 1) // 2])[top - first : bottom - first]
        for part, coarse in zip(finest.rows(first, last), half, strict=True)
    ]
    return _rounded(parts, dtype)


def _rounded(parts: Parts, dtype: np.dtype[Any]) -> Image:
    """Rows of an image (H, W) or (H, W, 3), rounded and clamped."""
    depth = cv2.CV_16U if dtype == np.uint16 else cv2.CV_8U
    luma, *colours = parts
    if not colours:
        return as_image(cv2.add(luma, np.zeros_like(luma), dtype=depth))
    red, blue = colours
    green = as_floats(cv2.addWeighted(red, -RED / GREEN, blue, -BLUE / GREEN, 0))
    return as_image(cv2.merge([cv2.add(part, luma, dtype=depth) for part in (blue, green, red)]))
