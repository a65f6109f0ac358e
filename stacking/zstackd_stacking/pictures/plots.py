"""The focus curve as a picture: how sharp each frame is, over its height."""

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

from PIL import ImageDraw

from zstackd_stacking.pictures.footer import PAPER, Picture
from zstackd_stacking.pictures.plot_sheet import FINER, PlotSheet, plot_sheet
from zstackd_stacking.pictures.scales import round_ticks
from zstackd_stacking.report import CutOff, height_of, unit_of
from zstackd_stacking.types import StackReport

_GRID_STEP: Final = 0.25
_MARGINS_PX: Final = (70, 56, 40, 66)
_FAINT, _CURVE, _WARN = (160, 160, 160), (33, 98, 170), (252, 232, 205)

_DOT_PX: Final = 4.5
_LEAST_DOT_PX: Final = 2.0
_DOT_SHARE: Final = 0.35

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where values lie on the sheet: `x` is heights, `y` shares from `least` to 1."""

    box: tuple[float, float, float, float]
    low: float
    high: float
    least: float

    def x(self, height: float) -> float:
        left, _, right, _ = self.box
        span = self.high - self.low
        return left + (right - left) * ((height - self.low) / span if span > 0 else 0.5)

    def y(self, share: float) -> float:
        _, top, _, bottom = self.box
        return bottom - (bottom - top) * (share - self.least) / (1 - self.least)


def focus_plot(report: StackReport, cut_offs: tuple[CutOff, ...] = ()) -> Picture:
    """The focus curve as a picture (H, W, 3) uint8 BGR.

    Sharpness is a share of the sharpest frame's. Frames left out are marked on the height axis, and
    ends at which the subject seems cut off are shaded.
    """
    sheet = plot_sheet(_MARGINS_PX)
    heights = [height_of(frame) for frame in report.frames]
    axes = _Axes(sheet.box, min(heights), max(heights), least=_lowest_line(report))
    for found in cut_offs:
        _shade(sheet.draw, axes, found)
    _draw_axes(sheet, axes, report)
    _draw_curve(sheet.draw, axes, report)
    return sheet.picture()


def _shares(report: StackReport) -> list[tuple[float, float]]:
    """Height and share of the sharpest frame's sharpness, of the frames used, from below."""
    used = sorted((frame for frame in report.frames if frame.used), key=height_of)
    most = max((frame.sharpness for frame in used), default=0.0)
    scale = 1 / most if most > 0 else 0.0
    return [(height_of(frame), frame.sharpness * scale) for frame in used]


def _lowest_line(report: StackReport) -> float:
    """Where the axis begins: at 0, or lower where frames with nothing but noise are below it."""
    lowest = min((share for _, share in _shares(report)), default=0.0)
    return min(0.0, math.floor(lowest / _GRID_STEP) * _GRID_STEP)


def _shade(draw: ImageDraw.ImageDraw, axes: _Axes, found: CutOff) -> None:
    inward = found.extend_by if found.end == "low" else -found.extend_by
    ends = sorted((axes.x(found.at), axes.x(found.at + inward / 2)))
    draw.rectangle((ends[0], axes.y(1), ends[1], axes.y(axes.least)), fill=_WARN)


def _draw_axes(sheet: PlotSheet, axes: _Axes, report: StackReport) -> None:
    for line in range(round(axes.least / _GRID_STEP), round(1 / _GRID_STEP) + 1):
        label = f"{line * _GRID_STEP:.0%}".replace("%", " %")
        sheet.grid_line(axes.y(line * _GRID_STEP), label)
    planes = unit_of(report) == "planes"
    ticks = round_ticks(axes.low, axes.high)
    if planes:
        ticks = [tick for tick in ticks if tick == round(tick)]
    sheet.x_axis(ticks, axes.x, "frame, counted from 0" if planes else "height of focus, µm")
    sheet.title("sharpness, relative to the sharpest frame", lines_above=4)


def _draw_curve(draw: ImageDraw.ImageDraw, axes: _Axes, report: StackReport) -> None:
    points = [(axes.x(height), axes.y(share)) for height, share in _shares(report)]
    if points:
        draw.line(points, fill=_CURVE, width=2 * FINER, joint="curve")
    radius = _radius(points)
    for point in points if radius >= _LEAST_DOT_PX * FINER else []:
        _dot(draw, point, fill=_CURVE, radius=radius)
    for frame in report.frames:
        if not frame.used:
            _dot(draw, (axes.x(height_of(frame)), axes.y(axes.least)), fill=PAPER)


def _radius(points: list[Point]) -> float:
    """That of the dots, so that those of many planes do not touch along the height axis."""
    gaps = [after - before for (before, _), (after, _) in pairwise(points)]
    return min(_DOT_PX * FINER, _DOT_SHARE * (median(gaps) if gaps else math.inf))


def _dot(
    draw: ImageDraw.ImageDraw,
    point: Point,
    *,
    fill: tuple[int, int, int],
    radius: float = _DOT_PX * FINER,
) -> None:
    x, y = point
    outline = _CURVE if fill == _CURVE else _FAINT
    box = (x - radius, y - radius, x + radius, y + radius)
    draw.ellipse(box, fill=fill, outline=outline, width=2 * FINER)
