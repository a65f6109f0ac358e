"""How much in focus each place of a frame is, with fine detail ruling over coarse.

The energies of the two finest bands, pooled over a neighbourhood, are mixed as a geometric mean.
All coarser bands follow this fine evidence: coarse contrast that no fine detail backs belongs to
something out of focus. A second, wide pooling of its square lets a strong edge speak for its
surroundings, where other planes show the edge's blur; that is what keeps halos away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np

from zstackd_stacking.geometry import Matrix, rescale
from zstackd_stacking.pyramid import BAND_NOISE, band, gaussian, reduced
from zstackd_stacking.types import FloatMap, Image, as_floats

COARSER_SHARE: Final = 0.35
NOISE_MARGIN: Final = 0.65
MEASURED_BANDS: Final = 3
AMPLITUDE_NOISE: Final = 0.1
SPREAD_PX: Final = (0.0, 2.0, 2.0, 1.4, 1.9, 0.5)
"""Standard deviation of the second pooling of each band, in pixels of that band."""
_SOFT_FROM: Final = 5
_NEAR_ONE: Final = np.float32(1e-3)
_TAPS: Final = as_floats(np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16)
_FEW_TAPS: Final = as_floats(np.array([1.0, 2.0, 1.0]) / 4)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one frame shows of focus.

    `focus`: pooled energy at half size, in units of white noise variance of one 8-bit level.
    `weights`: for each band and the low-pass rest; those of the finest band are at half size.
    `amplitudes`: root of the energy of the finest bands, on the grids of their weights.
    """

    focus: FloatMap
    weights: tuple[FloatMap, ...]
    amplitudes: tuple[FloatMap, ...]

    def moved(self, matrix: Matrix, coverage: FloatMap) -> "Evidence":
        """The same in reference coordinates; `coverage` (half size, 0 to 1) takes away weight."""
        masks = [coverage, coverage]
        while len(masks) < len(self.weights):
            masks.append(reduced(masks[-1]))
        weights = tuple(
            as_floats(cv2.multiply(_warped(weight, matrix, level), mask))
            for level, (weight, mask) in enumerate(zip(self.weights, masks, strict=True))
        )
        amplitudes = tuple(_warped(part, matrix, i) for i, part in enumerate(self.amplitudes))
        return Evidence(_warped(self.focus, matrix, 0), weights, amplitudes)


def luma_bands(luminance: Image) -> list[FloatMap]:
    """The finest bands of luminance (H, W), finest first."""
    return [band(fine, coarse) for fine, coarse in pairwise(gaussian(luminance, MEASURED_BANDS))]


def energies(bands: Sequence[FloatMap], unit: float) -> list[FloatMap]:
    """Local energy of each band in units of noise variance; of the finest band at half size.

    `unit` is one 8-bit level in the image's own levels.
    """
    result = []
    for level, part in enumerate(bands):
        scale = 1.0 / (BAND_NOISE[level] * unit * unit)
        square = as_floats(cv2.multiply(part, part, scale=scale))
        if level == 0:
            half = (part.shape[1] + 1) // 2, (part.shape[0] + 1) // 2
            square = as_floats(cv2.resize(square, half, interpolation=cv2.INTER_AREA))
        result.append(_smooth(square, _FEW_TAPS if level == 1 else _TAPS))
    return result


def evidence(energy: Sequence[FloatMap], noise: float, *, levels: int) -> Evidence:
    """Focus evidence of a frame for `levels` bands and the rest.

    `energy` is that of its finest bands, `noise` the energy of noise alone.
    """
    least = np.float32(NOISE_MARGIN * noise)
    pooled = _mix(_smooth(energy[0], _FEW_TAPS), energy[1], least)
    # Sixth powers of energies fit into 32 bits only near 1.
    backed = as_floats(pooled * _NEAR_ONE)
    weights = [_cubed(backed)]
    for level in range(1, levels + 1):
        backed = reduced(backed) if level > 1 else backed
        weights.append(_weights(backed, level))
    floor = np.float32(AMPLITUDE_NOISE * noise)
    amplitudes = tuple(as_floats(cv2.sqrt(part + floor)) for part in energy)
    return Evidence(pooled, tuple(weights), amplitudes)


def _mix(fine: FloatMap, coarser: FloatMap, least: np.float32) -> FloatMap:
    logs = _log(fine, least), _log(coarser, least)
    return as_floats(
        cv2.exp(cv2.addWeighted(logs[0], 1 - COARSER_SHARE, logs[1], COARSER_SHARE, 0))
    )


def _log(energy: FloatMap, least: np.float32) -> FloatMap:
    return as_floats(cv2.log(np.maximum(energy, least)))


def _cubed(values: FloatMap) -> FloatMap:
    return as_floats(cv2.multiply(cv2.multiply(values, values), values))


def _weights(backed: FloatMap, level: int) -> FloatMap:
    sigma_px = SPREAD_PX[min(level, len(SPREAD_PX) - 1)]
    square = as_floats(cv2.multiply(backed, backed))
    spread = as_floats(cv2.GaussianBlur(square, (0, 0), sigma_px))
    return spread if level >= _SOFT_FROM else _cubed(spread)


def _smooth(energy: FloatMap, taps: FloatMap) -> FloatMap:
    return as_floats(cv2.sepFilter2D(energy, cv2.CV_32F, taps, taps))


def _warped(values: FloatMap, matrix: Matrix, level: int) -> FloatMap:
    size = values.shape[1], values.shape[0]
    scaled = rescale(matrix, 0.5 ** max(level, 1))
    moved = cv2.warpAffine(
        values, scaled, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return as_floats(moved)
