"""How much in focus each place of a frame is, with fine detail ruling over coarse."""

from typing import Final

import cv2
import numpy as np

from zstackd_stacking.pyramid import BAND_NOISE
from zstackd_stacking.types import FloatMap, as_floats

OWN_SHARE: Final = 0.35
SHARPNESS: Final = 3.0
NOISE_MARGIN: Final = 1.5
_QUIET_QUANTILE: Final = 0.2
_FLOOR: Final = 0.05
_KERNEL: Final = np.array([1.0, 4.0, 6.0, 4.0, 1.0], np.float32) / 16


def fine_energy(band: FloatMap, half_size: tuple[int, int], unit: float) -> FloatMap:
    """Local energy of the finest band at half size, in units of white noise variance."""
    square = cv2.multiply(band, band, scale=1.0 / (BAND_NOISE[0] * unit * unit))
    return _smooth(as_floats(cv2.resize(square, half_size, interpolation=cv2.INTER_AREA)))


def band_energy(band: FloatMap, level: int, unit: float) -> FloatMap:
    """Local energy of a coarser band, in units of white noise variance."""
    noise = BAND_NOISE[min(level, len(BAND_NOISE) - 1)] * unit * unit
    return _smooth(as_floats(cv2.multiply(band, band, scale=1.0 / noise)))


def noise_floor(energy: FloatMap) -> float:
    """Energy of the quietest part, never below what rounding to 8 bits leaves."""
    sample = energy[::4, ::4]
    return max(float(np.quantile(sample, _QUIET_QUANTILE)), _FLOOR)


def evidence(energies: list[FloatMap], floor: float) -> list[FloatMap]:
    """Logarithm of focus evidence for bands 1, 2, … and the rest, from energies of bands 0, 1, ….

    Each level mixes its own energy with the pooled evidence of all finer ones, as a geometric
    mean, so that a coarse band follows the plane that fine detail chose.
    """
    least = NOISE_MARGIN * floor
    pooled = _mix(energies[0], energies[1], least)
    logs = [_log(pooled, least)]
    for energy in energies[2:]:
        pooled = _mix(as_floats(cv2.pyrDown(pooled)), energy, least)
        logs.append(_log(pooled, least))
    logs.append(_log(as_floats(cv2.pyrDown(pooled)), least))
    return logs


def weights(log_evidence: FloatMap) -> FloatMap:
    """Blending weights of log evidence."""
    return as_floats(cv2.exp(log_evidence * np.float32(SHARPNESS)))


def _mix(fine: FloatMap, own: FloatMap, least: float) -> FloatMap:
    logs = cv2.addWeighted(_log(fine, least), 1 - OWN_SHARE, _log(own, least), OWN_SHARE, 0)
    return as_floats(cv2.exp(logs))


def _log(energy: FloatMap, least: float) -> FloatMap:
    return as_floats(cv2.log(np.maximum(energy, np.float32(least))))


def _smooth(energy: FloatMap) -> FloatMap:
    return as_floats(cv2.sepFilter2D(energy, cv2.CV_32F, _KERNEL, _KERNEL))
