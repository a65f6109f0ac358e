"""A frame as luminance and colour differences, and their move onto the reference's grid.

Eyes and lenses alike have less detail in colour than in luminance, and most files keep a quarter
of it, so colour differences (red and blue less luminance) are worked on at half size. Only where
the reference frame has real detail of its own in colour are they worked on at full size, too.
"""

from collections.abc import Sequence
from typing import Any, Final

import cv2
from numpy.typing import NDArray

from zstackd_stacking.geometry import Matrix, rescale
from zstackd_stacking.pyramid import band, reduced
from zstackd_stacking.types import FloatMap, Image, as_floats, as_image

BLUE: Final = 0.114
GREEN: Final = 0.587
RED: Final = 0.299
STRIP_ROWS: Final = 96
_MARGIN_ROWS: Final = 8
_COLOUR_NDIM: Final = 3
_CHANNELS: Final = 3
_SAMPLE_EACH: Final = 4
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
    return as_image(_warp(image, matrix, size, cv2.INTER_CUBIC))


def differences(channels: Sequence[FloatMap]) -> list[FloatMap]:
    """Red and blue less luminance, of blue, green and red."""
    blue, green, red = channels
    grey = cv2.scaleAdd(blue, BLUE, cv2.addWeighted(green, GREEN, red, RED, 0))
    return [as_floats(cv2.subtract(red, grey)), as_floats(cv2.subtract(blue, grey))]


def strips(height: int) -> list[tuple[int, int]]:
    """First row and row after the last of each strip of an image; the first rows are even."""
    return [(top, min(top + STRIP_ROWS, height)) for top in range(0, height, STRIP_ROWS)]


def widened(top: int, bottom: int, height: int) -> tuple[int, int]:
    """A strip with the rows around it that its band of a pyramid needs, inside the image."""
    return max(top - _MARGIN_ROWS, 0), min(bottom + _MARGIN_ROWS, height)


class Planes:
    """A frame (H, W) or (H, W, 3) that is moved by `matrix`, if any, as its rows are asked for."""

    def __init__(self, image: Image, luminance: Image, matrix: Matrix | None) -> None:
        """`luminance` (H, W) is that of `image`."""
        self.shape: tuple[int, int] = luminance.shape[:2]
        self.coloured = image.ndim == _COLOUR_NDIM
        self._image, self._matrix = image, matrix
        self._luma = _Movable([luminance], matrix)
        half = split(as_image(cv2.pyrDown(image))) if self.coloured else []
        half_matrix = None if matrix is None else rescale(matrix, 0.5)
        self._half = _Movable(half, half_matrix, cv2.INTER_LINEAR)
        self._whole: _Movable | None = None

    def luma_rows(self, top: int, bottom: int) -> FloatMap:
        """Rows of the luminance."""
        return self._luma.rows(top, bottom)[0]

    def half_colour_rows(self, top: int, bottom: int) -> list[FloatMap]:
        """Rows of the colour differences at half size."""
        return differences(self._half.rows(top, bottom))

    def prepare_colours(self) -> None:
        """Must be called before `colour_rows`, which few stacks need."""
        self._whole = self._whole or _Movable(split(self._image), self._matrix)

    def colour_rows(self, top: int, bottom: int) -> list[FloatMap]:
        """Rows of the colour differences at full size."""
        assert self._whole is not None  # noqa: S101 - see prepare_colours
        return differences(self._whole.rows(top, bottom))


class _Movable:
    """Channels of which rows are wanted in another geometry, as floats."""

    def __init__(
        self, channels: Sequence[Image], matrix: Matrix | None, flags: int = cv2.INTER_CUBIC
    ) -> None:
        self._matrix, self._flags = matrix, flags
        self._channels: Sequence[Image | FloatMap] = channels
        if matrix is not None:
            self._channels = [as_floats(channel) for channel in channels]

    def rows(self, top: int, bottom: int) -> list[FloatMap]:
        if self._matrix is None:
            return [as_floats(channel[top:bottom]) for channel in self._channels]
        matrix = self._matrix.copy()
        matrix[1, 2] -= top
        return [
            as_floats(_warp(part, matrix, (part.shape[1], bottom - top), self._flags))
            for part in self._channels
        ]


def finely_coloured(planes: Planes) -> bool:
    """Whether a frame has detail in colour, beyond noise, that half its size would lose."""
    if not planes.coloured:
        return False
    planes.prepare_colours()
    luminance, colour, coarser = 0.0, 0.0, 0.0
    for top, bottom in strips(planes.shape[0])[::_SAMPLE_EACH]:
        rows = planes.luma_rows(top, bottom)
        luminance += _power(band(rows, reduced(rows)))
        for part in planes.colour_rows(top, bottom):
            half = reduced(part)
            colour += _power(band(part, half))
            coarser += 4 * _power(band(half, reduced(half)))
    return colour > _COLOURED * luminance and colour < _WHITE * coarser


def _power(values: FloatMap) -> float:
    return float(cv2.norm(values, cv2.NORM_L2SQR))


def _warp(values: NDArray[Any], matrix: Matrix, size: tuple[int, int], flags: int) -> NDArray[Any]:
    moved: NDArray[Any] = cv2.warpAffine(
        values, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return moved
