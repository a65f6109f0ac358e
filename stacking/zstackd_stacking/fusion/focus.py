"""How much in focus each place of a frame is, with fine detail ruling over coarse.

The energies of the two finest bands, pooled over a neighbourhood, are mixed as a geometric mean.
All coarser bands follow this fine evidence: coarse contrast that no fine detail backs belongs to
something out of focus. A second, wide pooling of its square lets a strong edge speak for its
surroundings, where other planes show the edge's blur; that is what keeps halos away. A place whose
own detail is well above noise has more of a say of its own.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from zstackd_stacking.fusion.noise import BLOCK_ROWS, sampled
from zstackd_stacking.geometry import Matrix, rescale
from zstackd_stacking.limits import at_least
from zstackd_stacking.planes import strips, widened
from zstackd_stacking.pyramid import BAND_NOISE, band, halved, reduced
from zstackd_stacking.types import FloatMap, Image, as_floats

COARSER_SHARE: Final = 0.35
NOISE_MARGIN: Final = 0.65
AMPLITUDE_NOISE: Final = 0.1
SPREAD_PX: Final = (0.0, 2.0, 2.0, 1.4, 1.9, 0.5)
"""Standard deviation of the second pooling of each band, in pixels of that band."""
OWN_SAY: Final = (0.0, 1.3, 1.3, 3.0, 3.0, 0.0)
"""How much more a place's own detail counts than that around it, for each band."""
OWN_FROM_NOISE: Final = 8.0
"""Energy, in that of noise, from which a place speaks for itself."""
_SAMPLE_EACH: Final = 2
_SOFT_FROM: Final = 5
_WIDE_PX: Final = 1.7
_NEAR_ONE: Final = 1 / 30
"""Energies are made so much less: then even their twelfth powers fit into 32 bits."""
_LOG_NEAR_ONE: Final = np.float32(np.log(_NEAR_ONE))
_TAPS: Final = as_floats(np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16)
_FEW_TAPS: Final = as_floats(np.array([1.0, 2.0, 1.0]) / 4)
_PYRAMID_VARIANCE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Detail:
    """The finest two bands of a frame's luminance, as it came.

    `squares`: of the finest band at half size, of the next at its own; `samples`: some rows of
    each band, for `NoiseLevel`; `unit`: one 8-bit level in the image's own levels.
    """

    squares: tuple[FloatMap, FloatMap]
    samples: tuple[FloatMap, FloatMap]
    unit: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one frame shows of focus.

    `log_focus`: logarithm of the pooled energy at half size, in units of white noise variance of
    one 8-bit level. `amplitudes`: root of the energy of the finest two bands, that of the finest at
    half size. `noise`: energy of noise alone.
    """

    log_focus: FloatMap
    amplitudes: tuple[FloatMap, ...]
    noise: float

    @property
    def sharpness(self) -> float:
        """The mean focus of the frame."""
        return float(cv2.mean(cv2.exp(self.log_focus))[0])

    def moved(self, matrix: Matrix) -> "Evidence":
        """The same in reference coordinates."""
        amplitudes = tuple(_warped(part, matrix, i) for i, part in enumerate(self.amplitudes))
        return Evidence(_warped(self.log_focus, matrix, 0), amplitudes, self.noise)


def measured(luminance: Image, unit: float) -> Detail:
    """The fine detail of a luminance (H, W), which is at least 32 px high and wide.

    `unit` is one 8-bit level in its levels.
    """
    height, width = luminance.shape
    half = (height + 1) // 2, (width + 1) // 2
    square, coarse = np.empty(half, np.float32), np.empty(half, np.float32)
    samples = []
    for number, (top, bottom) in enumerate(strips((height, width))):
        first, last = widened(top, bottom, height)
        rows = as_floats(luminance[first:last])
        below = reduced(rows)
        there, here = slice(top // 2, (bottom + 1) // 2), (top - first) // 2
        coarse[there] = below[here : here + there.stop - there.start]
        part = band(rows, below)[top - first : bottom - first]
        if number % _SAMPLE_EACH == 0 and bottom - top >= BLOCK_ROWS:
            samples.append(sampled(part, 1))
        square[there] = halved(_squared(part))
    second = band(coarse, reduced(coarse))
    finest = as_floats(np.concatenate(samples)), sampled(second)
    cv2.multiply(second, second, dst=second)
    return Detail((square, second), finest, unit)


def evidence(detail: Detail, noise: float, *, amplitudes: bool = True) -> Evidence:
    """Focus evidence of a frame, without amplitudes where they are not wanted; uses `detail` up.

    `noise` is the energy of noise alone.
    """
    energies = [
        _smoothed(
            part, _FEW_TAPS if level == 1 else _TAPS, 1 / (BAND_NOISE[level] * detail.unit**2)
        )
        for level, part in enumerate(detail.squares)
    ]
    least = NOISE_MARGIN * noise
    first, second = (None, None) if amplitudes else energies
    pooled = as_floats(cv2.sepFilter2D(energies[0], cv2.CV_32F, _FEW_TAPS, _FEW_TAPS, dst=first))
    fine = _log(at_least(pooled, least, out=pooled))
    coarser = _log(at_least(energies[1], least, out=second))
    mixed = cv2.addWeighted(fine, 1 - COARSER_SHARE, coarser, COARSER_SHARE, 0, dst=fine)
    if not amplitudes:
        return Evidence(as_floats(mixed), (), noise)
    floor = np.float32(AMPLITUDE_NOISE * noise)
    for part in energies:
        np.add(part, floor, out=part)
        cv2.sqrt(part, dst=part)
    return Evidence(as_floats(mixed), tuple(energies), noise)


def weights(found: Evidence, coverage: FloatMap | None, *, levels: int) -> list[FloatMap]:
    """Weights for `levels` bands and the low-pass rest; those of the finest are at half size.

    Uses the logarithm of focus up; what is returned first lies in its place.
    `coverage` (half size, 0 to 1) takes away weight; None takes none.
    """
    focus = found.log_focus
    focus += _LOG_NEAR_ONE
    cv2.exp(focus, dst=focus)
    backed, result = focus, [focus]
    for level in range(1, levels + 1):
        backed = reduced(backed) if level > 1 else backed
        result.append(_weights(backed, level, np.float32(OWN_FROM_NOISE * found.noise * _NEAR_ONE)))
    cv2.multiply(_squared(focus), focus, dst=focus)
    if coverage is None:
        return result
    masks = [coverage, coverage]
    while len(masks) < len(result):
        masks.append(reduced(masks[-1]))
    for weight, mask in zip(result, masks, strict=True):
        cv2.multiply(weight, mask, dst=weight)
    return result


def _squared(values: FloatMap) -> FloatMap:
    return as_floats(cv2.multiply(values, values))


def _log(values: FloatMap) -> FloatMap:
    return as_floats(cv2.log(values, dst=values))


def _weights(backed: FloatMap, level: int, least: np.float32) -> FloatMap:
    known = min(level, len(SPREAD_PX) - 1)
    spread = _spread(_squared(backed), SPREAD_PX[known])
    if OWN_SAY[known]:
        own = as_floats(backed - least)
        at_least(own, 0.0, out=own)
        own *= np.float32(OWN_SAY[known])
        cv2.accumulateSquare(own, spread)
    return spread if level >= _SOFT_FROM else _cubed(spread)


def _cubed(values: FloatMap) -> FloatMap:
    square = cv2.multiply(values, values)
    return as_floats(cv2.multiply(square, values, dst=square))


def _spread(values: FloatMap, sigma_px: float) -> FloatMap:
    """Gaussian pooling, the wide one on a quarter of the pixels."""
    if sigma_px < _WIDE_PX or min(values.shape) < 8:  # noqa: PLR2004 - too small to reduce
        return as_floats(cv2.GaussianBlur(values, (0, 0), sigma_px))
    rest_px = float(np.sqrt((sigma_px**2 - _PYRAMID_VARIANCE) / 4))
    small = cv2.GaussianBlur(cv2.pyrDown(values), (0, 0), rest_px)
    return as_floats(cv2.pyrUp(small, dstsize=(values.shape[1], values.shape[0])))


def _smoothed(energy: FloatMap, taps: FloatMap, scale: float) -> FloatMap:
    """The energy itself, scaled and smoothed."""
    scaled = taps * np.float32(scale)
    return as_floats(cv2.sepFilter2D(energy, cv2.CV_32F, scaled, taps, dst=energy))


def _warped(values: FloatMap, matrix: Matrix, level: int) -> FloatMap:
    size = values.shape[1], values.shape[0]
    scaled = rescale(matrix, 0.5 ** max(level, 1))
    moved = cv2.warpAffine(
        values, scaled, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return as_floats(moved)
