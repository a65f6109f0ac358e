"""What stands below a picture of heights: a legend with round numbers, and a scale bar."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from zstackd_stacking.pictures.colour import viridis
from zstackd_stacking.pictures.lettering import Pen
from zstackd_stacking.pictures.scales import (
    LEAST_STEPS,
    decimals_of,
    length_label,
    round_below,
    round_ticks,
)

Picture = NDArray[np.uint8]

INK: Final = (32, 32, 32)
PAPER: Final = (255, 255, 255)
_SCALE_BAR_SHARE: Final = 0.25
_LEGEND_SHARE: Final = 0.55
_LEAST_WIDTH_LETTERS: Final = 20
_LETTERS_PER_WIDTH: Final = 55
_LEAST_TEXT_PX: Final = 12
_GAP_LETTERS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Legend:
    """What the colours of a picture mean: the heights at both ends of the map, and their unit.

    `ramp` are the colours from low to high (N, 3) uint8 BGR.
    """

    low: float
    high: float
    unit: str
    ramp: Picture = field(default_factory=viridis)


def with_footer(picture: Picture, legend: Legend, *, pixel_size_um: float | None) -> Picture:
    """`picture` (H, W, 3) uint8 BGR above a legend and, with a pixel size, a scale bar."""
    width = picture.shape[1]
    below = np.asarray(_footer(width, legend, pixel_size_um), np.uint8)[..., ::-1]
    left = (below.shape[1] - width) // 2
    sides = 0, 0, left, below.shape[1] - width - left
    return np.vstack([cv2.copyMakeBorder(picture, *sides, cv2.BORDER_CONSTANT, value=PAPER), below])


def text_height_px(width_px: int) -> int:
    """Height of letters that suit a picture of that width."""
    return max(_LEAST_TEXT_PX, width_px // _LETTERS_PER_WIDTH)


def _footer(picture_px: int, legend: Legend, pixel_size_um: float | None) -> PillowImage.Image:
    """What stands below a picture of that width; it may be wider."""
    text_px = text_height_px(picture_px)
    width = max(picture_px, _LEAST_WIDTH_LETTERS * text_px)
    footer = PillowImage.new("RGB", (width, 5 * text_px), PAPER)
    pen = Pen(ImageDraw.Draw(footer), ImageFont.load_default(text_px), INK)
    share = _LEGEND_SHARE if pixel_size_um else 1.0
    box = (2 * text_px, text_px, round(width * share) - 3 * text_px, 2 * text_px)
    ramp = PillowImage.fromarray(np.ascontiguousarray(legend.ramp[np.newaxis, :, ::-1]))
    footer.paste(ramp.resize((box[2] - box[0], box[3] - box[1])), box[:2])
    _draw_ticks(pen, box, legend)
    if pixel_size_um:
        right = (width + picture_px) // 2 - 2 * text_px
        _draw_scale_bar(pen, (right, text_px), width=picture_px, pixel_size_um=pixel_size_um)
    return footer


def _draw_ticks(pen: Pen, box: tuple[int, int, int, int], legend: Legend) -> None:
    left, top, right, bottom = box
    length = (bottom - top) // 3
    gap_px = (bottom - top) * _GAP_LETTERS
    for x, label in _fitting_ticks(legend, pen, right - left, gap_px=gap_px):
        pen.draw.line((left + x, bottom, left + x, bottom + length), fill=INK, width=2)
        pen.write(label, middle=left + x, top=bottom + 1.5 * length)


def _fitting_ticks(
    legend: Legend, pen: Pen, width_px: int, *, gap_px: float
) -> list[tuple[float, str]]:
    """Places from the left in pixels, and labels: as many as stand clear of each other."""
    ticks: list[tuple[float, str]] = []
    for steps in range(LEAST_STEPS, 1, -1):
        ticks = _labelled_ticks(legend, width_px, least_steps=steps)
        if _stand_clear(ticks, pen, gap_px):
            return ticks
    ends = [ticks[0], ticks[-1]]
    return ends if _stand_clear(ends, pen, gap_px) else ticks[-1:]


def _labelled_ticks(legend: Legend, width_px: int, *, least_steps: int) -> list[tuple[float, str]]:
    ticks = round_ticks(legend.low, legend.high, least_steps=least_steps)
    decimals = decimals_of(ticks)
    span = legend.high - legend.low
    shares = [(tick - legend.low) / span if span > 0 else 0.5 for tick in ticks]
    labels = [f"{tick:.{decimals}f}" for tick in ticks]
    labels[-1] += f" {legend.unit}"
    return [(share * width_px, label) for share, label in zip(shares, labels, strict=True)]


def _stand_clear(ticks: Sequence[tuple[float, str]], pen: Pen, gap_px: float) -> bool:
    return all(
        (pen.length(label) + pen.length(following)) / 2 + gap_px <= next_x - x
        for (x, label), (next_x, following) in pairwise(ticks)
    )


def _draw_scale_bar(pen: Pen, corner: tuple[int, int], *, width: int, pixel_size_um: float) -> None:
    right, top = corner
    length_um = round_below(width * pixel_size_um * _SCALE_BAR_SHARE)
    length_px = length_um / pixel_size_um
    thick = max(3, width // 200)
    pen.draw.rectangle((right - length_px, top, right, top + thick), fill=INK)
    pen.write(length_label(length_um), middle=right - length_px / 2, top=top + 2 * thick)
