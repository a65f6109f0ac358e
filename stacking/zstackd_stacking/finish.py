"""Running sums become an image: blend, restore what blending damped, take off noise.

The blend of a place's sharp planes with their slightly blurred neighbours is weaker than the
sharp one; the ratio of amplitudes tells by how much (matched filtering). What then stands no
higher than the noise that remains is shrunk, as N. Wiener's filter does, by the local energy of
luminance and colour differences apart.
"""

from typing import Any, Final

import cv2
import numpy as np

from zstackd_stacking.fuse import Sums, enlarged_weights
from zstackd_stacking.noise import NoiseLevel
from zstackd_stacking.pyramid import enlarged
from zstackd_stacking.types import FloatMap, Image, as_floats, as_image

MOST_RESTORED: Final = 1.6
SHRINK: Final = 0.9
SHRINK_LEVELS: Final = 3
_POOL_PX: Final = 1.66
_QUIET_QUANTILE: Final = 0.2
_COLOUR_NOISE: Final = (1.0, 1.9, 2.7)
_TINY: Final = np.float32(1e-30)
_LUMA: Final = (0.114, 0.587, 0.299)
_COLOUR: Final = 3


def fused_bands(sums: Sums, noise: NoiseLevel, unit: float) -> list[list[FloatMap]]:
    """Bands of each channel of the fused image, float32."""
    levels = len(sums.weights)
    result: list[list[FloatMap]] = [[] for _ in sums.channels]
    for level in range(levels):
        parts = _blended(sums, level)
        if level < min(SHRINK_LEVELS, levels - 1):
            parts = _cleaned(parts, _noise_share(sums, level, parts[0].shape), noise, level, unit)
        for channel, part in zip(result, parts, strict=True):
            channel.append(part)
    return result


def finished(sums: Sums, noise: NoiseLevel, dtype: np.dtype[Any]) -> Image:
    """The fused image, rounded and clamped to `dtype`."""
    unit = 257.0 if dtype == np.uint16 else 1.0
    top = float(np.iinfo(dtype).max)
    planes = []
    for bands in fused_bands(sums, noise, unit):
        image = bands[-1]
        for fine in reversed(bands[:-1]):
            image = as_floats(cv2.add(fine, enlarged(image, fine)))
        planes.append(np.rint(np.clip(image, 0, top)).astype(dtype))
    return planes[0] if len(planes) == 1 else as_image(cv2.merge(planes))


def _blended(sums: Sums, level: int) -> list[FloatMap]:
    shape = sums.channels[0][level].shape
    weight = np.maximum(_at_size(sums.weights[level], shape), _TINY)
    parts = [as_floats(cv2.divide(channel[level], weight)) for channel in sums.channels]
    if level >= len(sums.damped) or level + 1 == len(sums.weights):
        return parts
    restoring = _at_size(_restoring(sums, level), shape)
    return [as_floats(cv2.multiply(part, restoring)) for part in parts]


def _at_size(values: FloatMap, shape: tuple[int, ...]) -> FloatMap:
    return values if values.shape == shape else enlarged_weights(values, shape)


def _restoring(sums: Sums, level: int) -> FloatMap:
    lost = sums.strongest[level] * sums.weights[level] / np.maximum(sums.damped[level], _TINY)
    return as_floats(np.clip(lost, 1, MOST_RESTORED))


def _noise_share(sums: Sums, level: int, shape: tuple[int, ...]) -> FloatMap:
    """Variance of noise in the blend relative to that of one frame."""
    weight = np.maximum(sums.weights[level], _TINY)
    restoring = _restoring(sums, level)
    share = as_floats(sums.squares[level] / weight / weight * restoring * restoring)
    return _at_size(share, shape)


def _cleaned(
    parts: list[FloatMap], share: FloatMap, noise: NoiseLevel, level: int, unit: float
) -> list[FloatMap]:
    variance = noise.proven_variance(level) * unit * unit
    if len(parts) != _COLOUR:
        return [_shrunk(part, share, variance) for part in parts]
    blue, green, red = parts
    luma = as_floats(_LUMA[0] * blue + _LUMA[1] * green + _LUMA[2] * red)
    luma, red, blue = (
        _shrunk(part, share, variance * ratio)
        for part, ratio in zip(
            (luma, as_floats(red - luma), as_floats(blue - luma)), _COLOUR_NOISE, strict=True
        )
    )
    red, blue = red + luma, blue + luma
    green = (luma - _LUMA[0] * blue - _LUMA[2] * red) / _LUMA[1]
    return [as_floats(part) for part in (blue, green, red)]


def _shrunk(part: FloatMap, share: FloatMap, most_variance: float) -> FloatMap:
    if most_variance <= 0:
        return part
    energy = cv2.GaussianBlur(cv2.multiply(part, part), (0, 0), _POOL_PX)
    quiet = np.quantile(energy[::4, ::4] / np.maximum(share[::4, ::4], _TINY), _QUIET_QUANTILE)
    noise = share * np.float32(SHRINK * min(most_variance, 1.15 * float(quiet)))
    kept = np.maximum(energy - noise, 0) / np.maximum(energy, _TINY)
    return as_floats(cv2.multiply(part, kept))
