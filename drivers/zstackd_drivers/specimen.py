"""What a specimen is to the camera twin: painted layers with a height, from far to near."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEPTH_UM = 200.0
"""Built-in specimens lie between 0 and this height, in micrometres."""

TILE_PX = 128

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layer:
    """One surface: `colour` (H, W, 3) uint8 as displayed, blue, green, red; `alpha` (H, W) uint8.

    `height_um` (H, W) float32 is smooth and defined everywhere, also where alpha is zero, because
    a blurred edge reaches beyond the surface. Larger heights are nearer to the objective.
    """

    colour: Bytes
    alpha: Bytes
    height_um: Floats


@dataclass(frozen=True, slots=True)
class Specimen:
    """Layers from far to near on one canvas; the first is opaque."""

    name: str
    layers: tuple[Layer, ...]


def canvas_size_px(size_px: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height of the canvas behind a frame: a margin, in whole tiles."""
    width, height = size_px
    return _whole_tiles(width), _whole_tiles(height)


def _whole_tiles(px: int) -> int:
    return TILE_PX * -(-int(px * 1.02 + 32) // TILE_PX)
