"""A chart of a few series over one axis: the evidence of a calibration."""

from dataclasses import dataclass
from typing import Final

from PIL import ImageDraw

from zstackd_stacking.pictures.footer import Picture
from zstackd_stacking.pictures.plot_sheet import FINER, TEXT_PX, PlotSheet, plot_sheet
from zstackd_stacking.pictures.scales import decimals_of, round_ticks

_MARGINS_PX: Final = (90, 60, 40, 70)
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
    sheet = plot_sheet(_MARGINS_PX)
    axes = _Axes(
        sheet.box,
        _ends([x for each in series for x, _ in each.points], empty=0.0),
        _ends([y for each in series for _, y in each.points], empty=_EMPTY_SHARE),
    )
    _draw_axes(sheet, axes, x_label, y_label)
    for each, ink in zip(series, _INKS, strict=False):
        _draw_series(sheet.draw, axes, each, ink)
    _draw_names(sheet, series)
    return sheet.picture()


def _ends(values: list[float], *, empty: float) -> Ends:
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low == high:
        return low - 0.5, high + 0.5
    room = empty * (high - low)
    return low - room, high + room


def _draw_axes(sheet: PlotSheet, axes: _Axes, x_label: str, y_label: str) -> None:
    ticks = round_ticks(*axes.y_ends)
    for tick in ticks:
        _, y = axes.place((axes.x_ends[0], tick))
        sheet.grid_line(y, f"{tick:.{decimals_of(ticks)}f}")

    def x_of(tick: float) -> float:
        return axes.place((tick, axes.y_ends[0]))[0]

    sheet.x_axis(round_ticks(*axes.x_ends), x_of, x_label)
    sheet.title(y_label, lines_above=5)


def _draw_series(
    draw: ImageDraw.ImageDraw, axes: _Axes, series: Series, ink: tuple[int, int, int]
) -> None:
    points = [axes.place(point) for point in series.points]
    if not series.dots:
        draw.line(points, fill=ink, width=2 * FINER, joint="curve")
        return
    radius = _DOT_PX * FINER
    for x, y in points:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ink, width=FINER)


def _draw_names(sheet: PlotSheet, series: tuple[Series, ...]) -> None:
    _, top, right, _ = sheet.box
    for each, ink in zip(reversed(series), _INKS[len(series) - 1 :: -1], strict=False):
        pen = sheet.pen(ink)
        width = pen.length(each.name)
        pen.write(each.name, middle=right - width / 2, top=top - 2.5 * TEXT_PX * FINER)
        right -= width + TEXT_PX * FINER
