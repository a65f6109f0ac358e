"""Take noise off a band: what stands no higher than noise is shrunk, by the local energy.

Source: N. Wiener, "Extrapolation, Interpolation, and Smoothing of Stationary Time Series" (1949),
with the signal's variance estimated around each place (J.-S. Lee 1980). Colour is shrunk not
towards grey but towards what luminance foretells of it, by the slope that relates the two around
each place: the guided filter of K. He, J. Sun and X. Tang (2010).
"""

from typing import Final

import cv2
import numpy as np

from zstackd_stacking.ranks import quantile
from zstackd_stacking.types import FloatMap, as_floats

SHRINK: Final = 0.9
MOST_NOISE: Final = (1.0, 1.9, 2.7)
"""Variance that luminance and the differences of red and blue can have, in luminance's."""

_POOL_PX: Final = 5
_QUIET_QUANTILE: Final = 0.2
_QUIET_TO_MEAN: Final = 1.15
_TINY: Final = np.float32(1e-30)
_STRIDE: Final = 4
_GUIDE_PX: Final = 1.0
_GUIDE_NOISE: Final = 4.0
_STEEPEST: Final = 1.5


def local_energy(part: FloatMap) -> FloatMap:
    """Mean square around each place of a band (H, W)."""
    return as_floats(cv2.sqrBoxFilter(part, cv2.CV_32F, (_POOL_PX, _POOL_PX)))


def noise_variance(energy: FloatMap, share: FloatMap, proven: float) -> float:
    """Variance of one frame's noise in a band: that of the blend's quietest places, or `proven`.

    `share` is the variance that noise has in the blend, relative to one frame. The lesser of the
    two counts, so that texture all over is not taken for noise.
    """
    if proven <= 0:
        return 0.0
    ratio = energy[::_STRIDE, ::_STRIDE] / np.maximum(share[::_STRIDE, ::_STRIDE], _TINY)
    quiet = quantile(ratio, _QUIET_QUANTILE) * _QUIET_TO_MEAN
    return SHRINK * min(proven, quiet)


def kept(energy: FloatMap, share: FloatMap, variance: float) -> FloatMap:
    """The factor, 0 to 1, that leaves of each place what is not noise of `variance` a frame.

    Uses `energy` up.
    """
    signal = as_floats(cv2.scaleAdd(share, -variance, energy))
    np.maximum(signal, 0, out=signal)
    np.maximum(energy, _TINY, out=energy)
    return as_floats(cv2.divide(signal, energy, dst=signal))


def slope(luma: FloatMap, difference: FloatMap, unit: float) -> FloatMap:
    """By how much a colour difference changes with luminance around each place.

    `unit` is one 8-bit level in the image's levels.
    """
    mean, other = _pooled(luma), _pooled(difference)
    along = _pooled(as_floats(cv2.multiply(luma, difference)))
    cv2.subtract(along, cv2.multiply(mean, other), dst=along)
    variance = _pooled(as_floats(cv2.multiply(luma, luma)))
    cv2.subtract(variance, cv2.multiply(mean, mean), dst=variance)
    np.maximum(variance, 0, out=variance)
    variance += np.float32(_GUIDE_NOISE * unit * unit)
    cv2.divide(along, variance, dst=along)
    return as_floats(np.clip(along, -_STEEPEST, _STEEPEST, out=along))


def _pooled(values: FloatMap) -> FloatMap:
    return as_floats(cv2.GaussianBlur(values, (5, 5), _GUIDE_PX))
