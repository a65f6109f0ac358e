"""A frame as luminance and colour differences, and their move onto the reference's grid.

Eyes and lenses alike have less detail in colour than in luminance, and most files keep a quarter
of it, so colour differences (red and blue less luminance) are worked on at half size. Only where
the reference frame has real detail of its own in colour are they worked on at full size, too.
"""

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.geometry import Matrix, compose, identity, invert, rescale, shifted
from zstackd_stacking.pyramid import band, reduced
from zstackd_stacking.ranks import quantile
from zstackd_stacking.types import FloatMap, Image, as_floats, as_image, level_8bit

BLUE: Final = 0.114
GREEN: Final = 0.587
RED: Final = 0.299
_STRIP_PX: Final = 294_912
_LEAST_STRIP_ROWS: Final = 96
_MARGIN_ROWS: Final = 8
_LOOKED_UP_ROWS: Final = 3
_COLOUR_NDIM: Final = 3
_CHANNELS: Final = 3
_SAMPLE_EACH: Final = 4
_BLOCKS_A_SQUARE: Final = 3
_MOST_COLOURED: Final = 0.9
_FAINT_LEVELS: Final = 2.0
_COLOURED: Final = 0.3
_WHITE: Final = 3.0
"""Detail has about as much energy in the finest band as in the next, noise eight times as much."""


def luma(image: Image) -> Image:
    """Luminance (H, W) in the dtype of the image."""
    if image.ndim != _COLOUR_NDIM:
        return image
    return as_image(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))


def split(image: Image) -> list[Image]:
    """The image's channels, each (H, W)."""
    if image.ndim != _COLOUR_NDIM:
        return [image]
    return [as_image(cv2.extractChannel(image, number)) for number in range(_CHANNELS)]


def warped(image: Image, matrix: Matrix) -> Image:
    """The image in reference coordinates; what lies outside the frame repeats its border."""
    size = image.shape[1], image.shape[0]
    return as_image(_warp(image, matrix, size))


def differences(channels: Sequence[FloatMap]) -> list[FloatMap]:
    """Red and blue less luminance, of blue, green and red."""
    blue, green, red = channels
    grey = cv2.scaleAdd(blue, BLUE, cv2.addWeighted(green, GREEN, red, RED, 0))
    return [as_floats(cv2.subtract(red, grey)), as_floats(cv2.subtract(blue, grey))]


def strips(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """First row and row after the last of each strip of an image (H, W); first rows are even.

    They are of nearly one size, and two cores share them evenly.
    """
    height, width = shape
    count = -(-height // max(_STRIP_PX // width, _LEAST_STRIP_ROWS))
    if count > 1:
        count += count % 2
    rows = -(-height // count // 2) * 2
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]


def widened(top: int, bottom: int, height: int, *, margin: int = _MARGIN_ROWS) -> tuple[int, int]:
    """A strip with the rows around it that its band of a pyramid needs, inside the image."""
    return max(top - margin, 0), min(bottom + margin, height)


class Planes:
    """A frame (H, W) or (H, W, 3), moved and made brighter or darker as its rows are asked for."""

    def __init__(
        self,
        image: Image,
        luminance: Image,
        matrix: Matrix | None = None,
        *,
        gain: float = 1.0,
        finely: bool,
        unit: float | None = None,
    ) -> None:
        """`luminance` (H, W) is that of `image`; with `finely`, `colour_rows` may be asked for.

        `matrix`, if any, moves the frame, `gain` multiplies it. `unit` is one 8-bit level in its
        levels, by default that of its type.
        """
        self.shape: tuple[int, int] = luminance.shape[:2]
        self.coloured = image.ndim == _COLOUR_NDIM
        self.finely = finely and self.coloured
        self.unit = unit or level_8bit(image.dtype)
        self._luma = _Movable(luminance, matrix, gain)
        self._half = self._whole = self._luma
        if self.coloured:
            half_matrix = None if matrix is None else rescale(matrix, 0.5)
            self._half = self._whole = _Movable(cv2.pyrDown(image), half_matrix, gain)
        if self.finely:
            self._whole = _Movable(image, matrix, gain)

    def let_go(self) -> None:
        """Hold the pixels no longer; no rows can be had any more."""
        self._luma = self._half = self._whole = _NOTHING

    def let_half_go(self) -> None:
        """Hold the pixels of half size no longer, of which no rows can be had any more."""
        self._half = _NOTHING
        if not self.finely:
            self._whole = _NOTHING

    def luma_rows(self, top: int, bottom: int) -> FloatMap:
        """Rows of the luminance."""
        return self._luma.rows(top, bottom)[0]

    def half_colour_rows(self, top: int, bottom: int) -> list[FloatMap]:
        """Rows of the colour differences at half size."""
        return self._half.rows(top, bottom)

    def colour_rows(self, top: int, bottom: int) -> list[FloatMap]:
        """Rows of the colour differences at full size."""
        return self._whole.rows(top, bottom)


class _Movable:
    """An image of whose luminance, or colour differences, moved rows are wanted."""

    def __init__(self, image: NDArray[Any], matrix: Matrix | None, gain: float) -> None:
        self._image, self._matrix, self._gain = as_image(image), matrix, gain
        self._inverse = None if matrix is None else invert(matrix)

    def rows(self, top: int, bottom: int) -> list[FloatMap]:
        if self._matrix is None or self._inverse is None:
            return self._floats(top, bottom)
        height, width = self._image.shape[:2]
        first, last = _looked_up(self._inverse, top, bottom, (height, width))
        matrix = compose(self._matrix, shifted(identity(), 0, first))
        matrix[1, 2] -= top
        size = width, bottom - top
        return [as_floats(_warp(part, matrix, size)) for part in self._floats(first, last)]

    def _floats(self, top: int, bottom: int) -> list[FloatMap]:
        channels = [as_floats(channel) for channel in split(self._image[top:bottom])]
        parts = channels if len(channels) == 1 else differences(channels)
        if self._gain != 1:
            for part in parts:
                np.multiply(part, np.float32(self._gain), out=part)
        return parts


_NOTHING: Final = _Movable(np.empty((0, 0), np.uint8), None, 1.0)


def _looked_up(inverse: Matrix, top: int, bottom: int, shape: tuple[int, int]) -> tuple[int, int]:
    """The rows of a frame (H, W) that are needed for rows `top` to `bottom` of the moved one."""
    height, width = shape
    corners = np.array([[0, width, 0, width], [top, top, bottom, bottom], [1, 1, 1, 1]])
    seen = (inverse @ corners)[1]
    first = int(np.clip(np.floor(seen.min()) - _LOOKED_UP_ROWS, 0, height - 1))
    return first, int(np.clip(np.ceil(seen.max()) + _LOOKED_UP_ROWS, first + 1, height))


def finely_coloured(planes: Planes) -> bool:
    """Whether a frame has detail in colour, beyond noise, that half its size would lose.

    Judged where there is most of it.
    """
    if not planes.coloured:
        return False
    sampled = [_powers(planes, *strip) for strip in strips(planes.shape)[::_SAMPLE_EACH]]
    luminance, colour, coarser = np.concatenate(sampled, axis=1)
    most = colour >= quantile(colour, _MOST_COLOURED)
    mean = float(colour[most].mean())
    return (
        mean > _FAINT_LEVELS**2 * planes.unit**2
        and mean > _COLOURED * float(luminance[most].mean())
        and mean < _WHITE * float(coarser[most].mean())
    )


def _powers(planes: Planes, top: int, bottom: int) -> FloatMap:
    """Of blocks of some rows, (3, blocks): the finest band of luminance and of colour, the next."""
    rows = planes.luma_rows(top, bottom)
    colours = planes.colour_rows(top, bottom)
    halves = [reduced(part) for part in colours]
    count = max(_BLOCKS_A_SQUARE * rows.shape[1] // rows.shape[0], 1)
    fine = [_blocks(band(part, half), count) for part, half in zip(colours, halves, strict=True)]
    next_ones = [_blocks(band(half, reduced(half)), count) for half in halves]
    return np.vstack([_blocks(band(rows, reduced(rows)), count), sum(fine), sum(next_ones)])


def _blocks(values: FloatMap, count: int) -> FloatMap:
    """Mean squares of so many blocks of a strip, side by side."""
    square = cv2.multiply(values, values)
    return as_floats(cv2.resize(square, (count, 1), interpolation=cv2.INTER_AREA))


def _warp(values: NDArray[Any], matrix: Matrix, size: tuple[int, int]) -> NDArray[Any]:
    moved: NDArray[Any] = cv2.warpAffine(
        values, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return moved
