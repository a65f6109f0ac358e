"""The sheet that plots are drawn on, and what all of them draw alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from zstackd_stacking.pictures.footer import INK, PAPER, Picture
from zstackd_stacking.pictures.lettering import Pen
from zstackd_stacking.pictures.scales import decimals_of

FINER: Final = 3
"""Drawn so many times larger and then reduced: Pillow's own lines are jagged."""

TEXT_PX: Final = 18
GAP: Final = TEXT_PX * FINER / 2
_SIZE_PX: Final = (960, 540)
_GRID: Final = (225, 225, 225)

Box = tuple[float, float, float, float]
Ink = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class PlotSheet:
    """A white sheet with room for axes in `box` (left, top, right, bottom), in fine pixels."""

    draw: ImageDraw.ImageDraw
    box: Box
    paper: PillowImage.Image

    def pen(self, ink: Ink = INK) -> Pen:
        """Return a pen for labels."""
        return Pen(self.draw, ImageFont.load_default(TEXT_PX * FINER), ink)

    def grid_line(self, y: float, label: str) -> None:
        """Draw a line across at `y`, and its label to the left."""
        left, _, right, _ = self.box
        pen = self.pen()
        self.draw.line((left, y, right, y), fill=_GRID, width=FINER)
        pen.write(label, middle=left - pen.length(label) / 2 - GAP, top=y - GAP)

    def x_axis(self, ticks: Sequence[float], place: Callable[[float], float], name: str) -> None:
        """Draw the lower axis with its ticks, each at its `place`, and its name below."""
        left, _, right, bottom = self.box
        pen = self.pen()
        for tick in ticks:
            x = place(tick)
            self.draw.line((x, bottom, x, bottom + GAP / 2), fill=INK, width=FINER)
            pen.write(f"{tick:.{decimals_of(list(ticks))}f}", middle=x, top=bottom + GAP)
        self.draw.line((left, bottom, right, bottom), fill=INK, width=FINER)
        pen.write(name, middle=(left + right) / 2, top=bottom + 4 * GAP)

    def title(self, words: str, *, lines_above: float) -> None:
        """Write what is drawn, so many half lines above the box."""
        left, top, _, _ = self.box
        pen = self.pen()
        pen.write(words, middle=left + pen.length(words) / 2, top=top - lines_above * GAP)

    def picture(self) -> Picture:
        """Return what was drawn, (540, 960, 3) uint8 BGR."""
        small = self.paper.resize(_SIZE_PX, PillowImage.Resampling.BOX)
        return np.ascontiguousarray(np.asarray(small, np.uint8)[..., ::-1])


def plot_sheet(margins_px: tuple[int, int, int, int]) -> PlotSheet:
    """Return an empty sheet with these margins: left, top, right, bottom."""
    width, height = (side * FINER for side in _SIZE_PX)
    left, top, right, bottom = (margin * FINER for margin in margins_px)
    paper = PillowImage.new("RGB", (width, height), PAPER)
    return PlotSheet(ImageDraw.Draw(paper), (left, top, width - right, height - bottom), paper)
