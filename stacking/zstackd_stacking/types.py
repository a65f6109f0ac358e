"""What goes into a stack and what comes out."""

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

_SAMPLE_EACH: Final = 4
_BRIGHTEST: Final = 0.999
_LEAST_BITS, _MOST_BITS = 8, 13

Image = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W) or (H, W, 3) in blue, green, red order; full range of the dtype."""


def as_image(pixels: NDArray[Any]) -> Image:
    """`pixels` as a contiguous `Image`; TypeError where they are not uint8 or uint16."""
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels, dtype=np.uint8)
    if pixels.dtype == np.uint16:
        return np.ascontiguousarray(pixels, dtype=np.uint16)
    raise TypeError(f"an image has uint8 or uint16 pixels, not {pixels.dtype}")


def without_alpha(pixels: NDArray[Any]) -> tuple[NDArray[Any], bool]:
    """Pixels (H, W) or (H, W, 1 to 4) without the last of 2 or 4 channels; whether it is opaque."""
    if pixels.ndim == 2 or pixels.shape[2] not in {2, 4}:  # noqa: PLR2004 - as said
        return pixels, False
    return pixels[..., :-1], bool(pixels[..., -1].min() == np.iinfo(pixels.dtype).max)


FloatMap = NDArray[np.float32]
"""(H, W) float32."""


def as_floats(values: NDArray[Any]) -> FloatMap:
    """`values` as float32, copied only where they are not."""
    return np.asarray(values, np.float32)


Method = Literal["pyramid", "depthmap", "near", "far", "average", "maximum", "laplacian"]


Memory = Literal["normal", "low"]


@dataclass(frozen=True, slots=True)
class StackOptions:
    """How to stack; the defaults are meant to be right for every stack.

    `breathing_per_um`: relative change of magnification per µm of height, where it is known; the
    alignment of frames with `z_um` starts from it (all but laplacian).
    `most_breathing_per_um`: the most that it can be where it is not known; what looks like more is
    the growing blur of something out of focus.
    `high_is_near` tells the methods `near` and `far` at which end the lens is: whether greater
    heights are nearer to it. None: they are, where frames have heights in µm; of frames that have
    none the first is the nearest.
    `memory`: `low` takes half as much (pyramid): frames are read and fused one after the other,
    and noise and what blending damps stay in the image.
    """

    method: Method = "pyramid"
    align: bool = True
    depth: bool = True
    breathing_per_um: float = 0.0
    most_breathing_per_um: float = math.inf
    high_is_near: bool | None = None
    memory: Memory = "normal"


@dataclass(frozen=True, slots=True)
class FrameReport:
    """What became of one frame.

    `transform` is the 2x3 affine matrix that takes frame pixels to result pixels (x, y; pixel
    centres at whole numbers). `residual_px` is None where no alignment was asked for.
    `sharpness` is the mean focus measure, comparable within one stack.
    """

    index: int
    name: str
    z_um: float | None
    sharpness: float
    transform: tuple[tuple[float, float, float], tuple[float, float, float]]
    residual_px: float | None
    used: bool
    note: str


@dataclass(frozen=True, slots=True)
class StackReport:
    """What became of every frame, in order of their index."""

    method: Method
    reference_index: int
    frames: tuple[FrameReport, ...]


@dataclass(frozen=True, slots=True)
class StackResult:
    """One fused image with its height map.

    `image`: shape and dtype of the frames. `depth_um`: height of best focus; in planes where the
    frames had no z. `confidence`: 0 (filled in) to 1 (measured). Both are None without `depth`.
    """

    image: Image
    depth_um: FloatMap | None
    confidence: FloatMap | None
    report: StackReport


def level_8bit(dtype: np.dtype[Any]) -> float:
    """One 8-bit level in the levels of an image of this type, 8 or 16 bits."""
    return 257.0 if dtype == np.uint16 else 1.0


def level_of(image: Image) -> float:
    """One 8-bit level in the levels of an image, by what of its type it makes use of.

    Cameras of 12 bits, or 16 on a faint subject, leave the upper bits of 16 empty; three at least,
    single pixels apart, are counted out.
    """
    if image.dtype != np.uint16:
        return level_8bit(image.dtype)
    step = _SAMPLE_EACH if min(image.shape[:2]) >= _SAMPLE_EACH**2 else 1
    brightest = int(np.quantile(image[::step, ::step], _BRIGHTEST))
    bits = max(brightest.bit_length(), _LEAST_BITS)
    return (2**bits - 1) / 255 if bits <= _MOST_BITS else level_8bit(image.dtype)
