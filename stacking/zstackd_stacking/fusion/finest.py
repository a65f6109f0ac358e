"""The finest band of the fused image, a strip of rows at a time.

Colour detail is drawn from that of luminance (see `zstackd_stacking.fusion.shrink`); where frames
carry colour detail of their own, what luminance does not foretell is kept as far as it is no noise.
"""

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from zstackd_stacking.fusion.fuse import TINY, Sums, noise_share, restoring
from zstackd_stacking.fusion.noise import NoiseLevel
from zstackd_stacking.fusion.shrink import MOST_NOISE, kept, noise_variance, slope
from zstackd_stacking.planes import strips
from zstackd_stacking.pyramid import doubled, doubled_rows, halved
from zstackd_stacking.types import FloatMap, as_floats
from zstackd_stacking.workers import mapped

_SAMPLE_EACH: Final = 3
_GUIDED: Final = 0.8


@dataclass(frozen=True, slots=True)
class Finest:
    """What the finest band is made of; the maps are at half size.

    `slopes` relate colour differences to luminance. `restored` makes good what blending damped,
    `share` is the blend's part of the noise of one frame, `variances` are those of that noise in
    luminance and colour differences; where these were not measured, the blend stays as it is.
    """

    sums: Sums
    slopes: list[FloatMap]
    restored: FloatMap | None = None
    share: FloatMap | None = None
    variances: tuple[float, ...] = ()

    def rows(self, top: int, bottom: int) -> list[FloatMap]:
        """Rows of the finished band of luminance and colour differences; `top` is even."""
        luma, rests = self.blended(top, bottom)
        luma = self._shrunk(luma, top, bottom, 0)
        parts = [luma]
        for number, steep in enumerate(self.slopes):
            foretold = _foretold(steep, luma, top, bottom)
            if rests:
                rest = self._shrunk(rests[number], top, bottom, number + 1)
                parts.append(as_floats(cv2.add(foretold, rest)))
            else:
                parts.append(foretold * np.float32(_GUIDED))
        return parts

    def blended(self, top: int, bottom: int) -> tuple[FloatMap, list[FloatMap]]:
        """Rows of luminance, and what it does not foretell of measured colour; not shrunk."""
        width = self.sums.shape[1]
        weight = np.maximum(doubled_rows(self.sums.weights[0], top, bottom, width), TINY)
        if self.restored is not None:
            cv2.divide(weight, doubled_rows(self.restored, top, bottom, width), dst=weight)
        luma = as_floats(cv2.divide(self.sums.luma[0][top:bottom], weight))
        rests = []
        for total, steep in zip(self.sums.fine_colours, self.slopes, strict=False):
            own = cv2.divide(total[top:bottom], weight)
            rests.append(as_floats(cv2.subtract(own, _foretold(steep, luma, top, bottom))))
        return luma, rests

    def _shrunk(self, part: FloatMap, top: int, bottom: int, number: int) -> FloatMap:
        if self.share is None:
            return part
        share = self.share[top // 2 : (bottom + 1) // 2]
        left = doubled(kept(_halved_energy(part), share, self.variances[number]))
        return as_floats(cv2.multiply(part, left[: part.shape[0], : part.shape[1]]))


def measured_finest(sums: Sums, half: list[FloatMap], noise: NoiseLevel, unit: float) -> Finest:
    """The finest band with its noise measured on a sample of rows.

    `half` is the fused image at half size, `unit` one 8-bit level in its levels.
    """
    luma, *differences = half
    most = None if sums.squares else 1
    slopes = mapped(lambda part: slope(luma, part, unit), differences, most=most)
    if not sums.squares:
        return Finest(sums, slopes)
    restored = restoring(sums, 0)
    share = noise_share(sums, 0, restored)
    bare = Finest(sums, slopes, restored, share)
    chosen = strips(sums.shape)[::_SAMPLE_EACH]
    samples = mapped(lambda strip: _energies(bare, *strip), chosen)
    sampled = np.concatenate([share[top // 2 : (bottom + 1) // 2] for top, bottom in chosen])
    proven = noise.proven_variance(0) * unit * unit
    variances = tuple(
        noise_variance(as_floats(np.concatenate(energies)), sampled, proven * greatest)
        for energies, greatest in zip(zip(*samples, strict=True), MOST_NOISE, strict=False)
    )
    return replace(bare, variances=variances)


def _energies(bare: Finest, top: int, bottom: int) -> list[FloatMap]:
    luma, rests = bare.blended(top, bottom)
    return [_halved_energy(part) for part in (luma, *rests)]


def _halved_energy(part: FloatMap) -> FloatMap:
    """Mean square around each place of a band (H, W), at half size."""
    return as_floats(cv2.GaussianBlur(halved(as_floats(cv2.multiply(part, part))), (5, 5), 0.8))


def _foretold(steep: FloatMap, luma: FloatMap, top: int, bottom: int) -> FloatMap:
    """What rows of luminance foretell of a colour difference."""
    return as_floats(cv2.multiply(doubled_rows(steep, top, bottom, luma.shape[1]), luma))
