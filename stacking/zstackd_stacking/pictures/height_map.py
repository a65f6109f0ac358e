"""Pictures to look at: the height map in colours and as a lit relief, and previews."""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.pictures.colour import coloured, levels, muted, viridis
from zstackd_stacking.pictures.footer import Legend, Picture, with_footer
from zstackd_stacking.pictures.relief import LEVEL, shading
from zstackd_stacking.types import FloatMap, Image, as_floats, as_image

_MAX_SIDE_PX: Final = 2048
_LEAST_SIDE_PX: Final = 320
_SAMPLED_SIDE_PX: Final = 1024
_SURE: Final = 0.5
_PERCENTILES: Final = (0.5, 99.5)
_SHADOW: Final = 0.15
_PALE: Final = 90


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
    pixel_um = pixel_size_um / factor if pixel_size_um else None
    return with_footer(picture, Legend(low, high, unit), pixel_size_um=pixel_um)


def relief_picture(
    depth_um: FloatMap,
    confidence: FloatMap | None,
    *,
    pixel_size_um: float | None,
    unit: str = "µm",
    high_is_near: bool = True,
) -> Picture:
    """The height map as a surface lit from the upper left (H', W', 3) uint8 BGR, for people.

    Colours mean heights as in `depth_picture`, of which legend, scale bar and arguments are the
    same; how deep the shadows are is chosen for the eye (see `zstackd_stacking.pictures.relief`).
    What is near to the lens stands out, also where it has the lesser heights: as on the image.
    """
    low, high = _range(depth_um, confidence)
    factor = _scale(depth_um)
    heights = _resized(depth_um, factor, smoothly=True).copy()
    cv2.patchNaNs(heights, low)
    np.clip(heights, low, high, out=heights)
    ramp = _pale_ramp()
    light = shading(heights if high_is_near else -heights)
    picture = _lit(levels(heights, low=low, high=high), ramp, light)
    legend = Legend(low, high, unit, ramp=np.rint(ramp).astype(np.uint8))
    pixel_um = pixel_size_um / factor if pixel_size_um else None
    return with_footer(picture, legend, pixel_size_um=pixel_um)


def _pale_ramp() -> FloatMap:
    """The colour map (256, 3), paler: shadows show on it even at its dark end."""
    return as_floats(viridis() * np.float32(1 - _PALE / 255) + np.float32(_PALE))


def _lit(places: NDArray[np.uint8], ramp: FloatMap, brightness: FloatMap) -> Picture:
    """Colours (H, W, 3) of places (H, W) on the colour map `ramp`, lit as `brightness` tells."""
    light = brightness * np.float32((1 - _SHADOW) / LEVEL) + np.float32(_SHADOW)
    channels = [
        cv2.multiply(cv2.LUT(places, ramp[:, number]), light, dtype=cv2.CV_8U)
        for number in range(ramp.shape[1])
    ]
    return np.asarray(cv2.merge(channels), np.uint8)


def _range(depth: FloatMap, confidence: FloatMap | None) -> tuple[float, float]:
    stride = max(1, max(depth.shape) // _SAMPLED_SIDE_PX)
    depth = depth[::stride, ::stride]
    confidence = None if confidence is None else confidence[::stride, ::stride]
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


def _resized(part: FloatMap, factor: float, *, smoothly: bool = False) -> FloatMap:
    """A map at another size; enlarged ones show their pixels, or `smoothly` what lies between."""
    if factor == 1:
        return part
    size = max(1, round(part.shape[1] * factor)), max(1, round(part.shape[0] * factor))
    larger = cv2.INTER_LINEAR if smoothly else cv2.INTER_NEAREST
    method = cv2.INTER_AREA if factor < 1 else larger
    return np.asarray(cv2.resize(part, size, interpolation=method), np.float32)
