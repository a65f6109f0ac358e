"""Fuse frames as running sums: constant memory in the number of frames.

Each band of the Laplacian pyramid keeps the sum of weights and of weighted coefficients, one
weight for all channels. Weights grow with focus evidence, so flat places average over all planes
and detail comes from its sharpest ones. Source: T. Mertens et al., "Exposure fusion" (2007), for
blending in the pyramid; the weights are those of `zstackd_stacking.focus`.
"""

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.focus import Evidence
from zstackd_stacking.pyramid import band, gaussian
from zstackd_stacking.types import FloatMap, Image, as_floats

MOST_RESTORED: Final = 1.6
TINY: Final = np.float32(1e-30)


@dataclass(slots=True)
class Sums:
    """Running sums of one stack; lists are by band, finest first, the low-pass rest last.

    The weights of the finest band are kept at half size. `squares` of weights span more than 32
    bits can. `damped` sums weight times amplitude,
    `strongest` is the greatest amplitude: together they tell how much the blend has lost.
    """

    channels: list[list[FloatMap]] = field(default_factory=list)
    weights: list[FloatMap] = field(default_factory=list)
    squares: list[NDArray[np.float64]] = field(default_factory=list)
    damped: list[FloatMap] = field(default_factory=list)
    strongest: list[FloatMap] = field(default_factory=list)


class PyramidFusion:
    """Softly weighted Laplacian pyramids."""

    def __init__(self) -> None:
        self.sums = Sums()

    def add(self, channels: tuple[Image, ...], evidence: Evidence, *, gain: float) -> None:
        """Add one aligned frame, as planes (H, W), with its evidence on the same grid.

        `gain` brings the frame to the reference's brightness.
        """
        if not self.sums.weights:
            _start(self.sums, evidence)
        _add_weights(self.sums, evidence)
        weights = [part * np.float32(gain) for part in evidence.weights]
        height, width = channels[0].shape
        weights[0] = doubled(weights[0])[:height, :width]
        for number, plane in enumerate(channels):
            self._add_channel(number, plane, weights)

    def _add_channel(self, number: int, plane: Image, weights: list[FloatMap]) -> None:
        pyramid = gaussian(plane, len(weights) - 1)
        if number == len(self.sums.channels):
            self.sums.channels.append([np.zeros(part.shape, np.float32) for part in pyramid])
        totals = self.sums.channels[number]
        for level, (total, weight) in enumerate(zip(totals, weights, strict=True)):
            last = level + 1 == len(pyramid)
            part = as_floats(pyramid[-1]) if last else band(pyramid[level], pyramid[level + 1])
            cv2.accumulateProduct(part, weight, total)


def doubled(values: FloatMap) -> FloatMap:
    """Values at twice the size, between which it is interpolated."""
    size = 2 * values.shape[1], 2 * values.shape[0]
    return as_floats(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR))


def blend(total: FloatMap, weight: FloatMap) -> FloatMap:
    """The weighted mean of a band whose sums are on one grid."""
    return as_floats(cv2.divide(total, np.maximum(weight, TINY)))


def restoring(sums: Sums, level: int) -> FloatMap:
    """By how much the blend of a band is weaker than its strongest frame, at least 1."""
    lost = sums.strongest[level] * sums.weights[level] / np.maximum(sums.damped[level], TINY)
    return as_floats(np.clip(lost, 1, MOST_RESTORED))


def noise_share(sums: Sums, level: int, restored: FloatMap) -> FloatMap:
    """Variance that noise has in the restored blend, relative to that of one frame."""
    factor = restored / np.maximum(sums.weights[level], TINY)
    return as_floats(sums.squares[level] * factor * factor)


def _start(sums: Sums, evidence: Evidence) -> None:
    sums.weights = [np.zeros_like(part) for part in evidence.weights]
    sums.squares = [np.zeros(part.shape, np.float64) for part in evidence.amplitudes]
    sums.damped = [np.zeros_like(part) for part in evidence.amplitudes]
    sums.strongest = [np.zeros_like(part) for part in evidence.amplitudes]


def _add_weights(sums: Sums, evidence: Evidence) -> None:
    for total, weight in zip(sums.weights, evidence.weights, strict=True):
        cv2.accumulate(weight, total)
    for level, amplitude in enumerate(evidence.amplitudes):
        weight = evidence.weights[level]
        cv2.accumulateSquare(weight, sums.squares[level])
        cv2.accumulateProduct(weight, amplitude, sums.damped[level])
        np.maximum(sums.strongest[level], amplitude, out=sums.strongest[level])
