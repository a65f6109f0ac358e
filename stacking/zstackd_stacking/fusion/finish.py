"""Running sums become an image: blend, restore what blending damped, take off noise and veils.

It is done from the coarsest band to the finest; the finer ones in strips, by all cores: see
`zstackd_stacking.fusion.restored`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import cv2
import numpy as np

from zstackd_stacking.fusion.fuse import Sums, blend
from zstackd_stacking.fusion.noise import NoiseLevel
from zstackd_stacking.fusion.own_planes import OwnPlanes
from zstackd_stacking.fusion.restored import Band, Parts, channels
from zstackd_stacking.fusion.unveil import correction
from zstackd_stacking.planes import strips, widened
from zstackd_stacking.pyramid import enlarged
from zstackd_stacking.types import FloatMap, Image, as_floats, as_image
from zstackd_stacking.workers import called, mapped

_NEAR_ROWS: Final = 4
_DAMPED: Final = 1.0
_FEW_TAPS: Final = as_floats(np.array([1.0, 2.0, 1.0]) / 4)


def finished(
    sums: Sums, own: OwnPlanes, noise: NoiseLevel, dtype: np.dtype[Any], unit: float
) -> Image:
    """The fused image, (H, W) or (H, W, 3), rounded and clamped to `dtype`.

    `unit` is one 8-bit level in its levels.
    """
    half = _rows_of(_half_image(sums, own, noise, unit)) if sums.squares else _half_rows(sums)
    finest = Band(sums, 0, half, unit).measured(noise)
    image = np.empty((*sums.shape, 3) if sums.colours else sums.shape, dtype)

    def fill(strip: tuple[int, int]) -> None:
        image[slice(*strip)] = _rounded(finest.channels(*strip), dtype)

    mapped(fill, strips(sums.shape), most=None if sums.squares else 1)
    return as_image(image)


def reduced_image(sums: Sums, level: int, dtype: np.dtype[Any]) -> Image:
    """The fused image at 1/2**`level` of its size (`level` at least 1), without finishing."""
    level = min(max(level, 1), len(sums.weights) - 1)
    return _rounded(channels(_blended(sums, level)), dtype)


def _half_image(sums: Sums, own: OwnPlanes, noise: NoiseLevel, unit: float) -> Parts:
    """Luminance, without veils, and colour differences at half size."""
    finer = len(sums.squares)
    parts = _blended(sums, finer)
    for level in reversed(range(1, finer)):
        parts = _with_band(Band(sums, level, _rows_of(parts), unit).measured(noise))
    luma, *colours = parts
    if sums.fine_colours:
        return [_unveiled(luma, own, noise, unit), *colours]
    unveiled = partial(_unveiled, luma, own, noise, unit)
    return called([unveiled, *(partial(undamped, colour) for colour in colours)])


def _unveiled(luma: FloatMap, own: OwnPlanes, noise: NoiseLevel, unit: float) -> FloatMap:
    """Luminance at half size without the veil of near objects; uses it up."""
    change = correction(own, luma, noise.energy(), unit)
    if change is None:
        return luma
    size = luma.shape[1], luma.shape[0]
    wide = cv2.resize(change, size, interpolation=cv2.INTER_LINEAR)
    return as_floats(cv2.add(luma, wide, dst=luma))


def _half_rows(sums: Sums) -> Callable[[int, int], Parts]:
    """What makes rows of the image at half size, as it was blended, where they are asked for."""
    quarter = _blended(sums, 2)
    totals = [sums.luma[1], *(bands[0] for bands in sums.colours)]
    height = len(totals[0])

    def rows(top: int, bottom: int) -> Parts:
        first, last = widened(top // 2 * 2, bottom, height, margin=_NEAR_ROWS)
        weight = sums.weights[1][first:last]
        luma, *colours = (
            _joined(blend(total[first:last], weight), part[first // 2 : (last + 1) // 2])
            for total, part in zip(totals, quarter, strict=True)
        )
        if not sums.fine_colours:
            colours = [undamped(colour) for colour in colours]
        return [part[top - first : bottom - first] for part in (luma, *colours)]

    return rows


def _rows_of(parts: Parts) -> Callable[[int, int], Parts]:
    return lambda top, bottom: [part[top:bottom] for part in parts]


def _blended(sums: Sums, level: int) -> Parts:
    """Luminance and colour differences at 1/2**`level` of the size, as they were blended."""

    def whole(totals: Sequence[FloatMap]) -> FloatMap:
        part = blend(totals[-1], sums.weights[-1])
        for i in reversed(range(level, len(totals))):
            part = _joined(blend(totals[i - 1], sums.weights[i]), part)
        return part

    return mapped(whole, (sums.luma[1:], *sums.colours))


def _with_band(band: Band) -> Parts:
    """The image with that band."""
    parts = [np.empty(band.shape, np.float32) for _ in (0, *band.sums.colours)]

    def fill(strip: tuple[int, int]) -> None:
        for part, rows in zip(parts, band.rows(*strip), strict=True):
            part[slice(*strip)] = rows

    mapped(fill, strips(band.shape))
    return parts


def undamped(colour: FloatMap) -> FloatMap:
    """A colour difference at half size, with what its reduction to that has damped.

    Reducing and enlarging leave a third of a detail of 6 px and two thirds of one of 10 px; in
    luminance the finest band makes up for it, which colour has not.
    """
    blurred = cv2.sepFilter2D(colour, cv2.CV_32F, _FEW_TAPS, _FEW_TAPS)
    return as_floats(cv2.addWeighted(colour, 1 + _DAMPED, blurred, -_DAMPED, 0))


def _joined(fine: FloatMap, coarse: FloatMap) -> FloatMap:
    whole = enlarged(coarse, fine)
    return as_floats(cv2.add(fine, whole, dst=whole))


def _rounded(parts: Parts, dtype: np.dtype[Any]) -> Image:
    """Rows of an image (H, W) or (H, W, 3), rounded and clamped."""
    rounded = [_in_levels(part, dtype) for part in parts]
    return as_image(rounded[0] if len(rounded) == 1 else cv2.merge(rounded))


def _in_levels(part: FloatMap, dtype: np.dtype[Any]) -> Image:
    if dtype == np.uint8 and part.min() >= 0:  # the same in half the time
        return as_image(cv2.convertScaleAbs(part))
    depth = cv2.CV_16U if dtype == np.uint16 else cv2.CV_8U
    return as_image(cv2.add(part, np.zeros_like(part), dtype=depth))
