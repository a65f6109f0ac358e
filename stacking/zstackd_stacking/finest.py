"""The finest band of the fused image, a strip of rows at a time.

JPEG keeps a quarter of the detail of colour. What is missing is drawn from the detail of
luminance by the slope that relates the two around each place: the guided filter of K. He, J. Sun
and X. Tang (2010). Where frames carry full colour detail, it is measured and kept.
"""

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from zstackd_stacking.channels import Channels, apart, together
from zstackd_stacking.fuse import TINY, Sums, doubled, noise_share, restoring
from zstackd_stacking.noise import NoiseLevel
from zstackd_stacking.shrink import MOST_NOISE, halved_energy, kept, noise_variance
from zstackd_stacking.types import FloatMap, as_floats
from zstackd_stacking.workers import mapped

_SAMPLE_ROWS: Final = 64
_SAMPLE_EACH: Final = 256
_GUIDE_PX: Final = 1.0
_GUIDE_NOISE: Final = 4.0
_STEEPEST: Final = 1.5
_GUIDED: Final = 0.95
_LEAST_OWN: Final = 0.6
_PRESENT_IN_JPEG: Final = 0.35


@dataclass(frozen=True, slots=True)
class Finest:
    """What the finest band is made of; the maps are at half size.

    `slopes` relate colour differences to luminance; `own` is how much of their measured detail
    is kept, `guided` how much is drawn from luminance.
    """

    sums: Sums
    restored: FloatMap
    share: FloatMap
    slopes: Channels
    variances: tuple[float, ...] = ()
    own: tuple[float, ...] = ()
    guided: tuple[float, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the image."""
        height, width = self.sums.channels[0][0].shape
        return height, width

    def rows(self, top: int, bottom: int) -> Channels:
        """Rows of the finished band of each channel; `top` is even."""
        parts = self.blended(top, bottom)
        share = self.share[top // 2 : (bottom + 1) // 2]
        cleaned = []
        for part, variance in zip(parts, self.variances, strict=True):
            factor = doubled(kept(halved_energy(part), share, variance))
            cleaned.append(as_floats(cv2.multiply(part, _cut(factor, part))))
        for i, foretold in enumerate(self.foretold(cleaned[0], top, bottom)):
            own, guided = self.own[i], self.guided[i]
            cleaned[i + 1] = as_floats(cv2.addWeighted(cleaned[i + 1], own, foretold, guided, 0))
        return together(cleaned)

    def blended(self, top: int, bottom: int) -> Channels:
        """Rows of luminance and colour differences, restored but not cleaned."""
        totals = [bands[0][top:bottom] for bands in self.sums.channels]
        weight = np.maximum(_rows(self.sums.weights[0], top, bottom, totals[0]), TINY)
        factor = cv2.divide(_rows(self.restored, top, bottom, totals[0]), weight)
        return apart([as_floats(cv2.multiply(total, factor)) for total in totals])

    def foretold(self, luma: FloatMap, top: int, bottom: int) -> Channels:
        """What rows of luminance foretell of the colour differences."""
        return [
            as_floats(cv2.multiply(_rows(slope, top, bottom, luma), luma)) for slope in self.slopes
        ]


def measured_finest(sums: Sums, half: Channels, noise: NoiseLevel, unit: float) -> Finest:
    """The finest band with its noise and its colour detail measured on a sample of rows.

    `half` is the fused image at half size, `unit` one 8-bit level in its levels.
    """
    luma, *differences = apart(half)
    slopes = mapped(lambda difference: _slope(luma, difference, unit), differences)
    restored = restoring(sums, 0)
    bare = Finest(sums, restored, noise_share(sums, 0, restored), slopes)
    samples = mapped(lambda top: _sample(bare, top), range(0, bare.shape[0], _SAMPLE_EACH))
    proven = noise.proven_variance(0) * unit * unit
    share = _joined([sample.share for sample in samples])
    variances = tuple(
        noise_variance(_joined([sample.energies[i] for sample in samples]), share, proven * most)
        for i, most in enumerate(MOST_NOISE[: len(half)])
    )
    present = [_present(samples, i) for i in range(len(slopes))]
    own = [min(max(_LEAST_OWN + 2 * (p - _PRESENT_IN_JPEG), _LEAST_OWN), 1.0) for p in present]
    guided = [_GUIDED * max(1 - a * b, 0.0) for a, b in zip(own, present, strict=True)]
    return replace(bare, variances=variances, own=tuple(own), guided=tuple(guided))


@dataclass(frozen=True, slots=True)
class _Sample:
    """Of some rows: energy of each part, the noise's share, products of part and foretold."""

    energies: Channels
    share: FloatMap
    agreement: list[float]
    foretold: list[float]


def _sample(bare: Finest, top: int) -> _Sample:
    bottom = min(top + _SAMPLE_ROWS, bare.shape[0])
    parts = bare.blended(top, bottom)
    guides = bare.foretold(parts[0], top, bottom)
    return _Sample(
        energies=[halved_energy(part) for part in parts],
        share=bare.share[top // 2 : (bottom + 1) // 2],
        agreement=[
            float(np.vdot(part, guide)) for part, guide in zip(parts[1:], guides, strict=True)
        ],
        foretold=[float(np.vdot(guide, guide)) for guide in guides],
    )


def _present(samples: list[_Sample], difference: int) -> float:
    """How much of the detail that luminance foretells is there, about 0 to 1."""
    power = sum(sample.foretold[difference] for sample in samples)
    return sum(sample.agreement[difference] for sample in samples) / max(power, 1e-9)


def _slope(luma: FloatMap, difference: FloatMap, unit: float) -> FloatMap:
    """By how much a colour difference changes with luminance around each place."""
    mean, other = _pooled(luma), _pooled(difference)
    along = _pooled(as_floats(cv2.multiply(luma, difference))) - mean * other
    variance = _pooled(as_floats(cv2.multiply(luma, luma))) - mean * mean
    slope = along / (np.maximum(variance, 0) + np.float32(_GUIDE_NOISE * unit * unit))
    return as_floats(np.clip(slope, -_STEEPEST, _STEEPEST))


def _pooled(values: FloatMap) -> FloatMap:
    return as_floats(cv2.GaussianBlur(values, (0, 0), _GUIDE_PX))


def _joined(parts: list[FloatMap]) -> FloatMap:
    return as_floats(np.concatenate(parts))


def _cut(values: FloatMap, like: FloatMap) -> FloatMap:
    return values[: like.shape[0], : like.shape[1]]


def _rows(half: FloatMap, top: int, bottom: int, like: FloatMap) -> FloatMap:
    """Rows of a half-size map at full size; `top` is even."""
    first = max(top // 2 - 1, 0)
    whole = doubled(half[first : (bottom + 1) // 2 + 1])
    return whole[top - 2 * first : bottom - 2 * first, : like.shape[1]]
