"""Take noise off a band: what stands no higher than noise is shrunk, by the local energy.

Source: N. Wiener, "Extrapolation, Interpolation, and Smoothing of Stationary Time Series" (1949),
with the signal's variance estimated around each place (J.-S. Lee 1980).
"""

from typing import Final

import cv2
import numpy as np

from zstackd_stacking.types import FloatMap, as_floats

SHRINK: Final = 0.9
MOST_NOISE: Final = (1.0, 1.9, 2.7)
"""Variance that luminance and the differences of red and blue can have, in luminance's."""

_POOL_PX: Final = 1.66
_QUIET_QUANTILE: Final = 0.2
_QUIET_TO_MEAN: Final = 1.15
_TINY: Final = np.float32(1e-30)
_STRIDE: Final = 4


def local_energy(part: FloatMap) -> FloatMap:
    """Mean square around each place of a band (H, W)."""
    return as_floats(cv2.GaussianBlur(cv2.multiply(part, part), (0, 0), _POOL_PX))


def halved_energy(part: FloatMap) -> FloatMap:
    """Mean square around each place of a band (H, W) of even height, at half size."""
    half = (part.shape[1] + 1) // 2, (part.shape[0] + 1) // 2
    square = cv2.resize(cv2.multiply(part, part), half, interpolation=cv2.INTER_AREA)
    return as_floats(cv2.GaussianBlur(square, (5, 5), 0.8))


def noise_variance(energy: FloatMap, share: FloatMap, proven: float) -> float:
    """Variance of one frame's noise in a band: that of the blend's quietest places, or `proven`.

    `share` is the variance that noise has in the blend, relative to one frame. The lesser of the
    two counts, so that texture all over is not taken for noise.
    """
    if proven <= 0:
        return 0.0
    ratio = energy[::_STRIDE, ::_STRIDE] / np.maximum(share[::_STRIDE, ::_STRIDE], _TINY)
    quiet = float(np.quantile(ratio, _QUIET_QUANTILE)) * _QUIET_TO_MEAN
    return SHRINK * min(proven, quiet)


def kept(energy: FloatMap, share: FloatMap, variance: float) -> FloatMap:
    """The factor, 0 to 1, that leaves of each place what is not noise of `variance` a frame."""
    signal = energy - share * np.float32(variance)
    return as_floats(np.maximum(signal, 0) / np.maximum(energy, _TINY))
