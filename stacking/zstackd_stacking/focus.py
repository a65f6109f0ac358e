"""How much in focus each place of a frame is, with fine detail ruling over coarse.

Each band's energy is pooled over a neighbourhood and mixed, as a geometric mean, with the pooled
evidence of all finer bands: coarse contrast that no fine detail backs belongs to something out of
focus and counts little. A wide second pooling lets a strong edge speak for its surroundings,
where other planes show the edge's blur.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np

from zstackd_stacking.geometry import Matrix, rescale
from zstackd_stacking.pyramid import BAND_NOISE, band, reduced
from zstackd_stacking.types import FloatMap, Image, as_floats

OWN_SHARE: Final = 0.26
NOISE_MARGIN: Final = 0.8
AMPLITUDE_LEVELS: Final = 3
AMPLITUDE_NOISE: Final = 0.3
SPREAD_PX: Final = (0.0, 2.0, 1.75, 5.0, 0.6, 0.6, 0.6, 0.6, 0.6)
"""Standard deviation of the second pooling of each band, in pixels of that band."""
_TAPS: Final = as_floats(np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16)
_FEW_TAPS: Final = as_floats(np.array([1.0, 2.0, 1.0]) / 4)
_LEAST_SPREAD_PX: Final = 0.3


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


def luma_bands(pyramid: Sequence[Image]) -> list[FloatMap]:
    """The bands of a Gaussian pyramid, finest first, without the low-pass rest."""
    return [band(fine, coarse) for fine, coarse in pairwise(pyramid)]


def energies(bands: Sequence[FloatMap], unit: float) -> list[FloatMap]:
    """Local energy of each band in units of noise variance; of the finest band at half size.

    `unit` is one 8-bit level in the image's own levels.
    """
    result = []
    for level, part in enumerate(bands):
        noise = BAND_NOISE[min(level, len(BAND_NOISE) - 1)]
        square = as_floats(cv2.multiply(part, part, scale=1.0 / (noise * unit * unit)))
        if level == 0:
            half = (part.shape[1] + 1) // 2, (part.shape[0] + 1) // 2
            square = as_floats(cv2.resize(square, half, interpolation=cv2.INTER_AREA))
        result.append(_smooth(square, _FEW_TAPS if level == 1 else _TAPS))
    return result


def evidence(energy: Sequence[FloatMap], noise: float) -> Evidence:
    """Focus evidence of a frame from its bands' energies and the energy of noise alone."""
    least = np.float32(NOISE_MARGIN * noise)
    pooled = _mix(_smooth(energy[0], _FEW_TAPS), energy[1], least)
    backed = [pooled, pooled]
    for own in energy[2:]:
        backed.append(_mix(reduced(backed[-1]), own, least))
    backed.append(np.maximum(reduced(backed[-1]), least))
    weights = tuple(_cubed(_spread(part, level)) for level, part in enumerate(backed))
    floor = np.float32(AMPLITUDE_NOISE * noise)
    amplitudes = tuple(as_floats(cv2.sqrt(part + floor)) for part in energy[:AMPLITUDE_LEVELS])
    return Evidence(pooled, weights, amplitudes)


def _mix(fine: FloatMap, own: FloatMap, least: np.float32) -> FloatMap:
    logs = cv2.addWeighted(_log(fine, least), 1 - OWN_SHARE, _log(own, least), OWN_SHARE, 0)
    return as_floats(cv2.exp(logs))


def _log(energy: FloatMap, least: np.float32) -> FloatMap:
    return as_floats(cv2.log(np.maximum(energy, least)))


def _cubed(values: FloatMap) -> FloatMap:
    return as_floats(cv2.multiply(cv2.multiply(values, values), values))


def _spread(values: FloatMap, level: int) -> FloatMap:
    sigma_px = SPREAD_PX[min(level, len(SPREAD_PX) - 1)]
    if sigma_px < _LEAST_SPREAD_PX:
        return values
    return as_floats(cv2.GaussianBlur(values, (0, 0), sigma_px))


def _smooth(energy: FloatMap, taps: FloatMap) -> FloatMap:
    return as_floats(cv2.sepFilter2D(energy, cv2.CV_32F, taps, taps))


def _warped(values: FloatMap, matrix: Matrix, level: int) -> FloatMap:
    size = values.shape[1], values.shape[0]
    scaled = rescale(matrix, 0.5 ** max(level, 1))
    moved = cv2.warpAffine(
        values, scaled, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return as_floats(moved)
