"""Pictures to look at: the height map in colours with legend and scale bar, and previews."""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from zstackd_stacking.colour import coloured, muted, viridis
from zstackd_stacking.lettering import Pen
from zstackd_stacking.types import FloatMap, Image, as_image

Picture = NDArray[np.uint8]

_MAX_SIDE_PX: Final = 2048
_LEAST_SIDE_PX: Final = 320
_INK, _PAPER = (32, 32, 32), (255, 255, 255)
_SCALE_BAR_SHARE: Final = 0.25
_LEAST_STEPS: Final = 4
_ROUND_STEPS = (1.0, 2.0, 5.0)
_SURE: Final = 0.5
_PERCENTILES = (0.5, 99.5)


def reduced(image: Image, *, max_side_px: int) -> Image:
    """`image` at a size whose longer side is at most `max_side_px`; dtype and channels kept."""
    height, width = image.shape[:2]
    factor = max_side_px / max(height, width)
    if factor >= 1:
        return image
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return as_image(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def depth_picture(
    depth_um: FloatMap,
    confidence: FloatMap | None,
    *,
    pixel_size_um: float | None,
    unit: str = "µm",
) -> Picture:
    """The height map as a colour picture (H', W', 3) uint8 BGR for people.

    Unsure areas fade to grey. Below stand a legend with round numbers in `unit` and, where the
    pixel size is known, a scale bar. The range shown leaves out the outermost half per cent of the
    sure heights, so that single wrong pixels do not wash out the rest. Large maps are reduced.

    Args:
        depth_um: heights (H, W) float32.
        confidence: (H, W) float32, 0 (filled in) to 1 (measured); None where all are sure.
        pixel_size_um: size of a pixel on the specimen, or None.
        unit: of the heights.
    """
    low, high = _range(depth_um, confidence)
    factor = _scale(depth_um)
    picture = coloured(_resized(depth_um, factor), low=low, high=high)
    if confidence is not None:
        picture = muted(picture, _resized(confidence, factor))
    canvas = PillowImage.fromarray(np.ascontiguousarray(picture[..., ::-1]))
    pixel_um = pixel_size_um / factor if pixel_size_um else None
    sheet = _with_footer(canvas, low=low, high=high, unit=unit, pixel_um=pixel_um)
    return np.ascontiguousarray(np.asarray(sheet, np.uint8)[..., ::-1])


def _range(depth: FloatMap, confidence: FloatMap | None) -> tuple[float, float]:
    every = np.isfinite(depth)
    sure = every if confidence is None else every & (confidence >= _SURE)
    heights = depth[sure] if np.any(sure) else depth[every]
    if heights.size == 0:
        return 0.0, 0.0
    low, high = np.percentile(heights, _PERCENTILES)
    return float(low), float(high)


def _scale(depth: FloatMap) -> float:
    longest = max(depth.shape)
    if longest > _MAX_SIDE_PX:
        return float(_MAX_SIDE_PX / longest)
    return float(max(1, math.ceil(_LEAST_SIDE_PX / longest)))


def _resized(part: FloatMap, factor: float) -> FloatMap:
    if factor == 1:
        return part
    size = max(1, round(part.shape[1] * factor)), max(1, round(part.shape[0] * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(part, size, interpolation=method), np.float32)


def _with_footer(
    picture: PillowImage.Image, *, low: float, high: float, unit: str, pixel_um: float | None
) -> PillowImage.Image:
    text_px = max(12, picture.width // 55)
    width = max(picture.width, 20 * text_px)
    sheet = PillowImage.new("RGB", (width, picture.height + 5 * text_px), _PAPER)
    sheet.paste(picture, ((width - picture.width) // 2, 0))
    pen = Pen(ImageDraw.Draw(sheet), ImageFont.load_default(text_px), _INK)
    top = picture.height + text_px
    share = 0.55 if pixel_um else 1.0
    box = (2 * text_px, top, round(width * share) - 3 * text_px, top + text_px)
    ramp = PillowImage.fromarray(np.ascontiguousarray(viridis()[np.newaxis, :, ::-1]))
    sheet.paste(ramp.resize((box[2] - box[0], box[3] - box[1])), box[:2])
    _draw_ticks(pen, box, low=low, high=high, unit=unit)
    if pixel_um:
        right = (width + picture.width) // 2 - 2 * text_px
        _draw_scale_bar(pen, (right, top), width=picture.width, pixel_um=pixel_um)
    return sheet


def _draw_ticks(
    pen: Pen, box: tuple[int, int, int, int], *, low: float, high: float, unit: str
) -> None:
    left, top, right, bottom = box
    length = (bottom - top) // 3
    ticks = round_ticks(low, high)
    decimals = decimals_of(ticks)
    for number, tick in enumerate(ticks, start=1):
        share = (tick - low) / (high - low) if high > low else 0.5
        x = left + share * (right - left)
        pen.draw.line((x, bottom, x, bottom + length), fill=_INK, width=2)
        label = f"{tick:.{decimals}f}" + (f" {unit}" if number == len(ticks) else "")
        pen.write(label, middle=x, top=bottom + 1.5 * length)


def _draw_scale_bar(pen: Pen, corner: tuple[int, int], *, width: int, pixel_um: float) -> None:
    right, top = corner
    length_um = round_below(width * pixel_um * _SCALE_BAR_SHARE)
    length_px = length_um / pixel_um
    thick = max(3, width // 200)
    pen.draw.rectangle((right - length_px, top, right, top + thick), fill=_INK)
    pen.write(length_label(length_um), middle=right - length_px / 2, top=top + 2 * thick)


def round_below(value: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `value` (positive)."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in _ROUND_STEPS if step * power <= value * (1 + 1e-9))


def round_ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, four to ten of them; `[low]` where they are equal."""
    if not high > low:
        return [low]
    step = round_below((high - low) / _LEAST_STEPS)
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [number * step for number in range(first, last + 1)]


def decimals_of(ticks: list[float]) -> int:
    """How many decimals tell the ticks apart."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else max(abs(ticks[0]), 1.0)
    return max(0, -math.floor(math.log10(step) + 1e-9))


def length_label(length_um: float) -> str:
    """A length with the unit that a person would choose: nm, µm or mm."""
    if length_um >= 1000:  # noqa: PLR2004 - µm per mm
        return f"{length_um / 1000:g} mm"
    return f"{length_um:g} µm" if length_um >= 1 else f"{length_um * 1000:g} nm"
