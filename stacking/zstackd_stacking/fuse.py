"""Fuse planes as running sums: constant memory in the number of frames."""

import cv2
import numpy as np

from zstackd_stacking import focus
from zstackd_stacking.planes import Planes
from zstackd_stacking.pyramid import band, collapse, gaussian, level_count
from zstackd_stacking.types import FloatMap, as_floats


class PyramidFusion:
    """Softly weighted Laplacian pyramids, one weight for all channels.

    Each band keeps the sum of weights and of weighted coefficients; a weight grows with the
    frame's focus evidence, so flat areas average and detail comes from its sharpest planes.
    """

    def __init__(self) -> None:
        self._tops: list[list[FloatMap]] = []
        self._weights: list[FloatMap] = []
        self._low: list[FloatMap] = []
        self._high: list[FloatMap] = []

    def add(self, planes: Planes, *, gain: float, mask: FloatMap | None) -> FloatMap:
        """Add one aligned frame; returns its log evidence at half size for the depth map.

        `gain` brings the frame to the reference's brightness. `mask` (half size, 0 to 1) is
        where the frame has pixels, None where everywhere.
        """
        height, width = planes[0].shape
        levels = level_count(height, width)
        unit = 257.0 if planes[0].dtype == np.uint16 else 1.0
        pyramid = gaussian(planes[0], levels)
        bands = [band(pyramid[i], pyramid[i + 1]) for i in range(levels)]
        half = pyramid[1].shape[1], pyramid[1].shape[0]
        energies = [focus.fine_energy(bands[0], half, unit / gain)]
        energies += [focus.band_energy(bands[i], i, unit / gain) for i in range(1, levels)]
        logs = focus.evidence(energies, focus.noise_floor(energies[0]))
        weights = [focus.weights(log) for log in logs]
        if mask is not None:
            for i, weight in enumerate(weights):
                weights[i] = as_floats(cv2.multiply(weight, mask))
                mask = as_floats(cv2.pyrDown(mask))
        self._accumulate(0, [*bands, pyramid[-1].astype(np.float32)], weights, gain)
        for channel, plane in enumerate(planes[1:], start=1):
            colour = gaussian(plane, levels - 1)
            parts = [band(colour[i], colour[i + 1]) for i in range(levels - 1)]
            parts.append(colour[-1].astype(np.float32) - unit * 128)
            self._accumulate(channel, parts, weights, gain)
        self._accumulate_weights(weights)
        return logs[0]

    def planes(self) -> tuple[FloatMap, ...]:
        """The fused planes so far, float32."""
        result = []
        for channel, sums in enumerate(self._tops):
            totals = self._weights
            if channel == 0:
                size = sums[0].shape[1], sums[0].shape[0]
                fine = cv2.resize(totals[0], size, interpolation=cv2.INTER_LINEAR)
                totals = [as_floats(fine), *totals]
            bands = [as_floats(cv2.divide(a, b)) for a, b in zip(sums, totals, strict=True)]
            result.append(collapse(bands))
        return tuple(result)

    def _accumulate(
        self, channel: int, bands: list[FloatMap], weights: list[FloatMap], gain: float
    ) -> None:
        if channel == len(self._tops):
            self._tops.append([np.zeros_like(part) for part in bands])
        sums = self._tops[channel]
        if channel == 0:
            size = bands[0].shape[1], bands[0].shape[0]
            fine = cv2.resize(weights[0], size, interpolation=cv2.INTER_LINEAR)
            weights = [as_floats(fine), *weights]
        for total, part, weight in zip(sums, bands, weights, strict=True):
            scaled = weight if gain == 1.0 else weight * np.float32(gain)
            cv2.accumulateProduct(part, scaled, total)

    def _accumulate_weights(self, weights: list[FloatMap]) -> None:
        if not self._weights:
            self._weights = [np.zeros_like(weight) for weight in weights]
        for total, weight in zip(self._weights, weights, strict=True):
            cv2.add(total, weight, dst=total)
