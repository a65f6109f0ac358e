"""How noisy frames are, measured where nothing is in focus.

Two measures of the finest bands' energy in a frame's quietest blocks: within the frame, which fine
detail all over would raise, and of its difference from the frame before, which is nothing where
frames are copies of each other.
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from zstackd_stacking.pyramid import BAND_NOISE
from zstackd_stacking.ranks import quantile
from zstackd_stacking.types import FloatMap, as_floats

LEAST_ENERGY: Final = 0.05
BLOCK_ROWS: Final = 8
_STRIPS: Final = 12
_QUIET_QUANTILE: Final = 0.2
_QUANTILE_TO_MEAN: Final = 1.2
_DEAD: Final = 0.01
_MOST_COLOURED: Final = 2.0


class NoiseLevel:
    """The least noise that any frame has shown; energies are in units of white noise.

    1 is one 8-bit level rms. Energies of coarser bands are held to what noise can have there.
    """

    def __init__(self) -> None:
        self._within: list[float] = []
        self._between: list[float] = []
        self._samples: Sequence[FloatMap] = ()

    def observe(self, samples: Sequence[FloatMap], unit: float) -> None:
        """Take in rows (see `sampled`) of the finest bands of a frame.

        `unit` is one 8-bit level in their levels.
        """
        scales = [1.0 / (BAND_NOISE[i] * unit * unit) for i in range(len(samples))]
        within = [_quiet(_blocks(part), s) for part, s in zip(samples, scales, strict=True)]
        self._within = _least(self._within, within)
        if self._samples:
            between = [
                _quiet(_blocks(part - before), s / 2)
                for part, before, s in zip(samples, self._samples, scales, strict=True)
            ]
            self._between = _least(self._between, between)
        self._samples = samples

    def energy(self, level: int = 0) -> float:
        """What noise alone can be taken for; never quite nothing."""
        return max(_held(self._within, level), LEAST_ENERGY)

    def proven_variance(self, level: int) -> float:
        """Variance that is surely noise in a band, in squared 8-bit levels."""
        proven = min(_held(self._within, level), _held(self._between, level))
        return proven * BAND_NOISE[level]


def _least(before: list[float], found: list[float]) -> list[float]:
    return [min(pair) for pair in zip(before, found, strict=True)] if before else found


def _held(energies: list[float], level: int) -> float:
    if not energies:
        return 0.0
    own = energies[min(level, len(energies) - 1)]
    return own if level == 0 else min(own, _MOST_COLOURED * energies[0])


def sampled(band: FloatMap, strips_wanted: int = _STRIPS) -> FloatMap:
    """Some strips of 8 rows of a band, as whole blocks."""
    rows, columns = (max(side // BLOCK_ROWS, 1) * BLOCK_ROWS for side in band.shape)
    each = max(rows // (BLOCK_ROWS * strips_wanted), 1) * BLOCK_ROWS
    strips = [band[top : top + BLOCK_ROWS, :columns] for top in range(0, rows, each)]
    return as_floats(np.concatenate(strips))


def _blocks(sample: FloatMap) -> FloatMap:
    """Mean square of blocks of 8 x 8."""
    size = max(sample.shape[1] // BLOCK_ROWS, 1), max(sample.shape[0] // BLOCK_ROWS, 1)
    square = cv2.multiply(sample, sample)
    return as_floats(cv2.resize(square, size, interpolation=cv2.INTER_AREA))


def _quiet(squares: FloatMap, scale: float) -> float:
    """Mean of the quietest blocks, without those that are dead black or burnt out."""
    energies = squares * np.float32(scale)
    alive = energies[energies > _DEAD]
    if 4 * alive.size < energies.size:
        return 0.0
    return quantile(alive, _QUIET_QUANTILE) * _QUANTILE_TO_MEAN
