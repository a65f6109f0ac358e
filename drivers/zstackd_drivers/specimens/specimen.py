"""What a specimen is to the camera twin: painted layers with a height, from far to near."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

DEPTH_UM = 200.0
"""Built-in specimens lie between 0 and this height, in micrometres."""

TILE_PX = 128
MARGIN = 1.03

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


def painted_size_px(size_px: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height to paint behind a frame of `size_px`: it and a margin."""
    width, height = (math.ceil(side * MARGIN) for side in size_px)
    return width, height


def on_whole_tiles(specimen: Specimen) -> Specimen:
    """Return the specimen in the middle of a canvas of whole tiles; the rest mirrors it."""
    return replace(specimen, layers=tuple(_tiled(layer) for layer in specimen.layers))


def _tiled(layer: Layer) -> Layer:
    height, width = layer.alpha.shape
    spare_rows, spare_columns = -height % TILE_PX, -width % TILE_PX
    rows = (spare_rows // 2, spare_rows - spare_rows // 2)
    columns = (spare_columns // 2, spare_columns - spare_columns // 2)
    return Layer(
        colour=np.pad(layer.colour, (rows, columns, (0, 0)), mode="symmetric"),
        alpha=np.pad(layer.alpha, (rows, columns), mode="symmetric"),
        height_um=np.pad(layer.height_um, (rows, columns), mode="symmetric"),
    )
