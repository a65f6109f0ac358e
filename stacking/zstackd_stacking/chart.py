"""A chart of a few series over one axis: the evidence of a calibration."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from zstackd_stacking.footer import INK, PAPER, Picture
from zstackd_stacking.lettering import Pen
from zstackd_stacking.scales import decimals_of, round_ticks

_SIZE_PX: Final = (960, 540)
_FINER: Final = 3
"""Drawn so many times larger and then reduced: Pillow's own lines are jagged."""

_TEXT_PX: Final = 18
_MARGINS_PX: Final = (90, 60, 40, 70)
_GRID: Final = (225, 225, 225)
_INKS: Final = ((33, 98, 170), (196, 98, 16), (60, 140, 70), (130, 80, 160))
_DOT_PX: Final = 3.0
_EMPTY_SHARE: Final = 0.04

Ends = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """Points (x, y) with a name; joined by a line, or as dots."""

    name: str
    points: tuple[tuple[float, float], ...]
    dots: bool = False


@dataclass(frozen=True, slots=True)
class _Axes:
    box: tuple[float, float, float, float]
    x_ends: Ends
    y_ends: Ends

    def place(self, point: tuple[float, float]) -> tuple[float, float]:
        left, top, right, bottom = self.box
        across = (point[0] - self.x_ends[0]) / (self.x_ends[1] - self.x_ends[0])
        up = (point[1] - self.y_ends[0]) / (self.y_ends[1] - self.y_ends[0])
        return left + (right - left) * across, bottom - (bottom - top) * up


def chart(*series: Series, x_label: str, y_label: str) -> Picture:
    """Draw series over common axes: (540, 960, 3) uint8 BGR; the names stand in their colours."""
    size = _SIZE_PX[0] * _FINER, _SIZE_PX[1] * _FINER
    sheet = PillowImage.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    left, top, right, bottom = (margin * _FINER for margin in _MARGINS_PX)
    axes = _Axes(
        (left, top, size[0] - right, size[1] - bottom),
        _ends([x for each in series for x, _ in each.points], empty=0.0),
        _ends([y for each in series for _, y in each.points], empty=_EMPTY_SHARE),
    )
    _draw_axes(draw, axes, x_label, y_label)
    for each, ink in zip(series, _INKS, strict=False):
        _draw_series(draw, axes, each, ink)
    _draw_names(draw, axes, series)
    small = sheet.resize(_SIZE_PX, PillowImage.Resampling.BOX)
    return np.ascontiguousarray(np.asarray(small, np.uint8)[..., ::-1])


def _ends(values: list[float], *, empty: float) -> Ends:
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low == high:
        return low - 0.5, high + 0.5
    room = empty * (high - low)
    return low - room, high + room


def _pen(draw: ImageDraw.ImageDraw, ink: tuple[int, int, int] = INK) -> Pen:
    return Pen(draw, ImageFont.load_default(_TEXT_PX * _FINER), ink)


def _draw_axes(draw: ImageDraw.ImageDraw, axes: _Axes, x_label: str, y_label: str) -> None:
    pen = _pen(draw)
    left, top, right, bottom = axes.box
    gap = _TEXT_PX * _FINER / 2
    ticks = round_ticks(*axes.y_ends)
    for tick in ticks:
        _, y = axes.place((axes.x_ends[0], tick))
        draw.line((left, y, right, y), fill=_GRID, width=_FINER)
        label = f"{tick:.{decimals_of(ticks)}f}"
        pen.write(label, middle=left - pen.length(label) / 2 - gap, top=y - gap)
    ticks = round_ticks(*axes.x_ends)
    for tick in ticks:
        x, _ = axes.place((tick, axes.y_ends[0]))
        draw.line((x, bottom, x, bottom + gap / 2), fill=INK, width=_FINER)
        pen.write(f"{tick:.{decimals_of(ticks)}f}", middle=x, top=bottom + gap)
    draw.line((left, bottom, right, bottom), fill=INK, width=_FINER)
    pen.write(x_label, middle=(left + right) / 2, top=bottom + 4 * gap)
    pen.write(y_label, middle=left + pen.length(y_label) / 2, top=top - 5 * gap)


def _draw_series(
    draw: ImageDraw.ImageDraw, axes: _Axes, series: Series, ink: tuple[int, int, int]
) -> None:
    points = [axes.place(point) for point in series.points]
    if not series.dots:
        draw.line(points, fill=ink, width=2 * _FINER, joint="curve")
        return
    radius = _DOT_PX * _FINER
    for x, y in points:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ink, width=_FINER)


def _draw_names(draw: ImageDraw.ImageDraw, axes: _Axes, series: tuple[Series, ...]) -> None:
    _, top, right, _ = axes.box
    for each, ink in zip(reversed(series), _INKS[len(series) - 1 :: -1], strict=False):
        pen = _pen(draw, ink)
        width = pen.length(each.name)
        pen.write(each.name, middle=right - width / 2, top=top - 2.5 * _TEXT_PX * _FINER)
        right -= width + _TEXT_PX * _FINER
