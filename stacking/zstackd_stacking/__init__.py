"""Focus stacking: align, fuse, and measure height; usable without the rest of zstackd."""

from zstackd_stacking.methods.stacker import Stacker
from zstackd_stacking.order import stacking_order
from zstackd_stacking.types import (
    FloatMap,
    FrameReport,
    Image,
    StackOptions,
    StackReport,
    StackResult,
)

__all__ = [
    "FloatMap",
    "FrameReport",
    "Image",
    "StackOptions",
    "StackReport",
    "StackResult",
    "Stacker",
    "stacking_order",
]
