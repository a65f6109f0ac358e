"""Take noise off a band: what stands no higher than noise is shrunk, by the local energy.

Source: N. Wiener, "Extrapolation, Interpolation, and Smoothing of Stationary Time Series" (1949),
with the signal's variance estimated around each place (J.-S. Lee 1980). Colour is shrunk not
towards grey but towards what luminance foretells of it, by the slope that relates the two around
each place: the guided filter of K. He, J. Sun and X. Tang (2010).
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from zstackd_stacking.limits import at_least, at_most
from zstackd_stacking.pyramid import doubled, halved
from zstackd_stacking.ranks import quantile
from zstackd_stacking.types import FloatMap, as_floats

SHRINK: Final = 0.9
MOST_NOISE: Final = (1.0, 1.9, 2.7)
"""Variance that luminance and the differences of red and blue can have, in luminance's."""

_QUIET_QUANTILE: Final = 0.2
_QUIET_TO_MEAN: Final = 1.15
_TINY: Final = 1e-30
_STRIDE: Final = 3
_TAPS: Final = as_floats(cv2.getGaussianKernel(3, 0.5, cv2.CV_32F))
_GUIDE_NOISE: Final = 1.5
_STEEPEST: Final = 1.5


def noise_variance(energy: FloatMap, share: FloatMap, proven: float) -> float:
    """Variance of one frame's noise in a band: that of the blend's quietest places, or `proven`.

    `share` is the variance that noise has in the blend, relative to one frame. The lesser of the
    two counts, so that texture all over is not taken for noise.
    """
    if proven <= 0:
        return 0.0
    ratio = energy[::_STRIDE, ::_STRIDE] / np.maximum(
        share[::_STRIDE, ::_STRIDE], np.float32(_TINY)
    )
    quiet = quantile(ratio, _QUIET_QUANTILE) * _QUIET_TO_MEAN
    return SHRINK * min(proven, quiet)


def kept(energy: FloatMap, share: FloatMap, variance: float) -> FloatMap:
    """The factor, 0 to 1, that leaves of each place what is not noise of `variance` a frame.

    Uses `energy` up.
    """
    signal = as_floats(cv2.scaleAdd(share, -variance, energy))
    at_least(signal, 0.0, out=signal)
    at_least(energy, _TINY, out=energy)
    return as_floats(cv2.divide(signal, energy, dst=signal))


def slopes(parts: Sequence[FloatMap], unit: float) -> list[FloatMap]:
    """By how much each colour difference changes with luminance around each place.

    `parts` are luminance and differences, `unit` is one 8-bit level in the image's levels.
    """
    if len(parts) < 2:  # noqa: PLR2004 - no differences
        return []
    luma, *differences = parts
    mean, variance = _pooled(luma), _pooled(as_floats(cv2.multiply(luma, luma)))
    cv2.subtract(variance, cv2.multiply(mean, mean), dst=variance)
    at_least(variance, 0.0, out=variance)
    variance += np.float32(_GUIDE_NOISE * unit * unit)
    return [_slope(luma, part, mean, variance) for part in differences]


def _slope(luma: FloatMap, part: FloatMap, mean: FloatMap, variance: FloatMap) -> FloatMap:
    along = _pooled(as_floats(cv2.multiply(luma, part)))
    cv2.subtract(along, cv2.multiply(mean, _pooled(part)), dst=along)
    cv2.divide(along, variance, dst=along)
    at_most(at_least(along, -_STEEPEST, out=along), _STEEPEST, out=along)
    return doubled(along)[: luma.shape[0], : luma.shape[1]]


def _pooled(values: FloatMap) -> FloatMap:
    """Weighted means around each place, at half size."""
    return as_floats(cv2.sepFilter2D(halved(values), cv2.CV_32F, _TAPS, _TAPS))
