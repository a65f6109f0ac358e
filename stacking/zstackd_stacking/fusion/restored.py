"""A band of the fused image, a strip of rows at a time: restored, less noisy, joined to the rest.

The blend of a place's sharp planes with their slightly blurred neighbours is weaker than the
sharp one; the ratio of amplitudes tells by how much (matched filtering). Colour detail is drawn
from that of luminance (see `zstackd_stacking.fusion.shrink`). What luminance does not foretell of
it is kept as far as it is no noise; of the finest band such is only known where frames carry
colour detail of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from zstackd_stacking.fusion.fuse import MOST_RESTORED, TINY, Sums
from zstackd_stacking.fusion.noise import NoiseLevel
from zstackd_stacking.fusion.shrink import MOST_NOISE, kept, noise_variance, slopes
from zstackd_stacking.limits import at_least
from zstackd_stacking.planes import BLUE, GREEN, RED, widened
from zstackd_stacking.pyramid import doubled, halved
from zstackd_stacking.types import FloatMap, as_floats
from zstackd_stacking.workers import mapped

Parts = list[FloatMap]
"""Luminance and, in colour, red and blue less luminance."""

_SAMPLE_ROWS: Final = 32
_SAMPLE_EACH: Final = 10
_GUIDED: Final = 0.8
_NEAR_ROWS: Final = 4
_WIDE_TAPS: Final = as_floats(cv2.getGaussianKernel(5, 0.8, cv2.CV_32F))


@dataclass(frozen=True, slots=True)
class _Strip:
    """Rows of a band as they were blended.

    `rests` are what luminance does not foretell of colour differences. Of half size are `slopes`,
    which relate the two, and `share`, the blend's part of the noise of one frame.
    """

    luma: FloatMap
    rests: Parts
    slopes: Parts
    share: FloatMap | None

    def energies(self) -> Parts:
        """Mean squares around each place of luminance and rests, at half size."""
        return [_halved_energy(part) for part in (self.luma, *self.rests)]


@dataclass(frozen=True, slots=True)
class Band:
    """Band `level` of the image, and what gives rows of the image below it, of half its size.

    `variances` are those of one frame's noise in luminance and colour differences; where these
    were not measured, noise stays. `unit` is one 8-bit level in the image's levels.
    """

    sums: Sums
    level: int
    below: Callable[[int, int], Parts]
    unit: float
    variances: tuple[float, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the band."""
        height, width = self.sums.luma[self.level].shape
        return height, width

    def measured(self, noise: NoiseLevel) -> "Band":
        """The same with its noise measured, on a sample of rows."""
        if not self.sums.squares:
            return self
        tops = range(0, self.shape[0], _SAMPLE_EACH * _SAMPLE_ROWS)
        samples = mapped(self._sampled, tops)
        share, *energies = (as_floats(np.vstack(rows)) for rows in zip(*samples, strict=True))
        proven = noise.proven_variance(self.level) * self.unit**2
        variances = tuple(
            noise_variance(energy, share, proven * most)
            for energy, most in zip(energies, MOST_NOISE, strict=False)
        )
        return replace(self, variances=variances)

    def rows(self, top: int, bottom: int) -> Parts:
        """Rows of luminance and colour differences of the image; `top` is even."""
        return self._joined(top, bottom, as_channels=False)

    def channels(self, top: int, bottom: int) -> Parts:
        """Rows of blue, green and red of the image, or of luminance alone; `top` is even."""
        return self._joined(top, bottom, as_channels=True)

    def _joined(self, top: int, bottom: int, *, as_channels: bool) -> Parts:
        height, width = self.shape
        first, last = widened(top, bottom, height)
        begin, end = widened(top, bottom, height, margin=_NEAR_ROWS)
        coarse = self.below(first // 2, (last + 1) // 2)
        strip = self._strip(first, last, slopes(coarse, self.unit))
        left = self._left(strip)
        grid = slice((begin - first) // 2, (end - first + 1) // 2)
        gains, below = (
            [part[grid] for part in parts] for parts in (_gains(strip, left[0]), coarse)
        )
        early = as_channels and not strip.rests  # on half the size it costs least
        if early:
            gains, below = channels(gains), channels(below)
        own, inner = slice(top - first, bottom - first), slice(top - begin, bottom - begin)
        parts = [as_floats(cv2.pyrUp(part, dstsize=(width, end - begin))[inner]) for part in below]
        for part, gain in zip(parts, gains, strict=True):
            cv2.accumulateProduct(strip.luma[own], doubled(gain)[inner, :width], part)
        for part, rest, gain in zip(parts[1:], strip.rests, left[1:], strict=False):
            cv2.accumulateProduct(rest[own], doubled(gain)[own, :width], part)
        return channels(parts) if as_channels and not early else parts

    def _sampled(self, top: int) -> Parts:
        bottom = min(top + _SAMPLE_ROWS, self.shape[0])
        coarse = self.below(top // 2, (bottom + 1) // 2) if self._colours else []
        strip = self._strip(top, bottom, slopes(coarse, self.unit))
        return [*([] if strip.share is None else [strip.share]), *strip.energies()]

    def _strip(self, first: int, last: int, steep: Parts) -> _Strip:
        width = self.shape[1]
        divisor, share = self._divisor(first, last)
        luma = as_floats(cv2.divide(self.sums.luma[self.level][first:last], divisor))
        rests = []
        for total, each in zip(self._colours, steep, strict=False):
            own = cv2.divide(total[first:last], divisor)
            foretold = cv2.multiply(doubled(each)[: last - first, :width], luma)
            rests.append(as_floats(cv2.subtract(own, foretold, dst=own)))
        return _Strip(luma, rests, steep, share)

    @property
    def _colours(self) -> Parts:
        if self.level == 0:
            return self.sums.fine_colours
        return [bands[self.level - 1] for bands in self.sums.colours]

    def _divisor(self, first: int, last: int) -> tuple[FloatMap, FloatMap | None]:
        """What sums are divided by, of the strip's size, and the share of noise, of half of it."""
        if self.level:
            divisor, share = self._restored(first, last)
            return divisor, None if share is None else halved(share)
        start = max(first // 2 - 1, 0)
        half, share = self._restored(start, (last + 1) // 2 + 1)
        divisor = doubled(half)[first - 2 * start : last - 2 * start, : self.shape[1]]
        own = slice(first // 2 - start, (last + 1) // 2 - start)
        return divisor, None if share is None else share[own]

    def _restored(self, first: int, last: int) -> tuple[FloatMap, FloatMap | None]:
        """Rows of the weights, less what blending damped, and the noise that is left with them.

        The noise is a variance, relative to that of one frame.
        """
        own, sums, level = slice(first, last), self.sums, self.level
        weight = sums.weights[level][own]
        if not sums.squares:
            return at_least(weight, TINY), None
        divisor = as_floats(cv2.divide(sums.damped[level][own], sums.strongest[level][own]))
        cv2.max(divisor, weight * np.float32(1 / MOST_RESTORED), dst=divisor)
        cv2.min(divisor, weight, dst=divisor)
        share = cv2.divide(sums.squares[level][own], divisor)
        return divisor, as_floats(cv2.divide(share, divisor, dst=share))

    def _left(self, strip: _Strip) -> Parts:
        """The factors of half size that leave of luminance and rests what is no noise."""
        if strip.share is None or not self.variances:
            return [np.ones(tuple((side + 1) // 2 for side in strip.luma.shape), np.float32)] * 3
        return [
            kept(energy, strip.share, variance)
            for energy, variance in zip(strip.energies(), self.variances, strict=True)
        ]


def _gains(strip: _Strip, left: FloatMap) -> Parts:
    """By what the luminance of a band is multiplied in luminance and colour differences."""
    guided = 1.0 if strip.rests else _GUIDED
    return [left, *(as_floats(cv2.multiply(each, left, scale=guided)) for each in strip.slopes)]


def channels(parts: Parts) -> Parts:
    """Blue, green and red of luminance and colour differences; luminance alone as it is."""
    if len(parts) == 1:
        return parts
    luma, red, blue = parts
    green = cv2.addWeighted(red, -RED / GREEN, blue, -BLUE / GREEN, 0)
    return [as_floats(cv2.add(part, luma)) for part in (blue, green, red)]


def _halved_energy(part: FloatMap) -> FloatMap:
    """Mean square around each place of a band (H, W), at half size."""
    square = halved(as_floats(cv2.multiply(part, part)))
    return as_floats(cv2.sepFilter2D(square, cv2.CV_32F, _WIDE_TAPS, _WIDE_TAPS))
