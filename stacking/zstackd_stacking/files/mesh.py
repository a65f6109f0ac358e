"""The height map as a surface of coloured triangles in µm, for programs that show and print 3D.

Axes: x to the right, y up in the image, z towards higher focus; the origin is the image's lower
left corner. Written by trimesh.
"""

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray

from zstackd_config.errors import InputError, StackError
from zstackd_stacking.files.atomic import write_atomically
from zstackd_stacking.types import FloatMap, Image, as_floats, level_of

DEFAULT_VERTICES: Final = 500_000
LEAST_VERTICES: Final = 4
ENDINGS: Final = (".ply", ".glb")
_LEAST_SIDE: Final = 2
_M_PER_UM: Final = 1e-6
_Y_UP: Final = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)
"""From z up, as microscopes have it, to y up, as glTF prescribes it."""


def write_mesh(
    path: Path,
    depth_um: FloatMap,
    image: Image,
    *,
    pixel_size_um: float,
    vertices: int = DEFAULT_VERTICES,
) -> None:
    """Write heights with the image's colours as .ply or .glb, by rename.

    In a .ply coordinates are µm. glTF prescribes metres and y up: in a .glb the vertices are µm
    with z up all the same, under a node that scales and turns them.

    Args:
        path: ends in .ply or .glb.
        depth_um: heights (H, W) float32 in µm, finite.
        image: the fused image of the same height and width.
        pixel_size_um: size of a pixel on the specimen.
        vertices: at most so many; larger maps are reduced. A vertex takes about 45 bytes in the
            file and 200 in memory.

    Raises:
        InputError: another extension.
        StackError: the image is less than two pixels wide or high.
        StorageError: the file cannot be written.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"{path}: a mesh is a .ply or a .glb file")
    if min(depth_um.shape) < _LEAST_SIDE:
        height, width = depth_um.shape
        raise StackError(f"{path}: an image of {width} × {height} px has no surface to mesh")
    surface = _surface(depth_um, image, pixel_size_um, vertices)
    if path.suffix.lower() == ".ply":
        write_atomically(path, [_exported(surface, "ply")])
        return
    scene = trimesh.Scene()
    metres = np.diag([_M_PER_UM, _M_PER_UM, _M_PER_UM, 1.0])
    scene.add_geometry(surface, node_name="height map, µm", transform=_Y_UP @ metres)
    write_atomically(path, [_exported(scene, "glb")])


def _exported(what: trimesh.Trimesh | trimesh.Scene, kind: str) -> bytes:
    data: Any = what.export(file_type=kind)
    return bytes(data)


def _surface(
    depth_um: FloatMap, image: Image, pixel_size_um: float, vertices: int
) -> trimesh.Trimesh:
    height, width = depth_um.shape
    columns, rows = grid_size(width, height, vertices)
    heights = as_floats(cv2.resize(depth_um, (columns, rows), interpolation=cv2.INTER_AREA))
    return trimesh.Trimesh(
        vertices=_places(heights, width * pixel_size_um, height * pixel_size_um),
        faces=_faces(columns, rows),
        vertex_colors=_colours(image, columns, rows),
        process=False,
        validate=False,
    )


def grid_size(width_px: int, height_px: int, vertices: int) -> tuple[int, int]:
    """Columns and rows, two at least, of a grid of about the image's shape within `vertices`."""
    factor = min(1.0, (vertices / (width_px * height_px)) ** 0.5)
    columns = max(_LEAST_SIDE, int(width_px * factor))
    rows = max(_LEAST_SIDE, int(height_px * factor))
    if columns * rows > vertices:  # a narrow image, of which one side could not shrink further
        columns = max(_LEAST_SIDE, min(columns, vertices // rows))
        rows = max(_LEAST_SIDE, min(rows, vertices // columns))
    return columns, rows


def _places(heights: FloatMap, width_um: float, height_um: float) -> NDArray[np.float32]:
    """Vertices (rows * columns, 3), each at the middle of its cell."""
    rows, columns = heights.shape
    x = (np.arange(columns, dtype=np.float32) + 0.5) * np.float32(width_um / columns)
    y = height_um - (np.arange(rows, dtype=np.float32) + 0.5) * np.float32(height_um / rows)
    across, down = np.meshgrid(x, y.astype(np.float32))
    return np.stack([across, down, heights], axis=-1).reshape(-1, 3)


def _faces(columns: int, rows: int) -> NDArray[np.int64]:
    """Two triangles for each cell between vertices (N, 3), counter-clockwise as seen from above."""
    number = np.arange(rows * columns).reshape(rows, columns)
    left_top, right_top = number[:-1, :-1].ravel(), number[:-1, 1:].ravel()
    left_bottom, right_bottom = number[1:, :-1].ravel(), number[1:, 1:].ravel()
    upper = np.stack([left_top, left_bottom, right_top], axis=-1)
    lower = np.stack([right_top, left_bottom, right_bottom], axis=-1)
    return np.concatenate([upper, lower])


def _colours(image: Image, columns: int, rows: int) -> NDArray[np.uint8]:
    """Red, green, blue and opacity of each vertex (N, 4)."""
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    if small.dtype == np.uint16:
        small = cv2.convertScaleAbs(small, alpha=1 / level_of(image))
    code = cv2.COLOR_GRAY2RGBA if small.ndim == 2 else cv2.COLOR_BGR2RGBA  # noqa: PLR2004
    return np.asarray(cv2.cvtColor(small, code), np.uint8).reshape(-1, 4)
