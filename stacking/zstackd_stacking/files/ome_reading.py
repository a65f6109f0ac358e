"""What the OME-XML of a TIFF says of its planes: their order in focus, and their scale.

Source: the OME data model 2016-06 (Open Microscopy Environment): Pixels, TiffData and Plane.
"""

from collections.abc import Sequence
from statistics import median
from typing import Any, Final

import numpy as np
import tifffile

from zstackd_config.errors import InputError
from zstackd_stacking.files.pages import Described, in_um, square

_OURS: Final = "zstackd"
_LIKE_THE_STEP: Final = 0.05
_EVEN: Final = 0.001
_UNREAD: Final = "its OME-XML cannot be read: planes are taken as they follow one another"

Node = dict[str, Any]


def ome_planes(xml: str, directories: int, name: str, *, samples: int) -> Described:
    """The planes of a TIFF with so many image `directories`, of so many `samples` a pixel.

    Raises:
        InputError: several images, channels or times, or planes that are in other files.
    """
    try:
        root: Node = tifffile.xml2dict(xml)["OME"]
        images = _all(root, "Image")
        pixels: Node = images[0]["Pixels"]
        depth, channels, times = (int(pixels[f"Size{axis}"]) for axis in "ZCT")
    except (SyntaxError, KeyError, IndexError, TypeError, ValueError):
        return Described(tuple(range(directories)), doubts=(_UNREAD,))
    _require_one(len(images), "images", "save each as a file of its own", name)
    require_one_channel(max(channels // max(samples, 1), 1), name)
    require_one_time(times, name)
    order = _order(pixels, depth, root.get("UUID")) if depth <= directories else ()
    if len(order) < depth or max(order, default=0) >= directories:
        raise InputError(
            f"{name}: holds {len(order) or directories} of the {depth} planes that its OME-XML "
            "lists: the file is cut off, or the others are in other files; save the stack as one "
            "file"
        )
    size, doubts = square(_length(pixels, "PhysicalSizeX"), _length(pixels, "PhysicalSizeY"))
    step, heights = _steps(pixels, depth)
    return Described(
        order=order,
        pixel_size_um=size,
        z_step_um=step,
        heights_um=heights,
        by_zstackd=root.get("Creator") == _OURS,
        doubts=doubts,
    )


def require_one_channel(count: int, name: str) -> None:
    """Refuse planes of several channels: each is a stack of its own."""
    _require_one(
        count, "channels", "split them first, in Fiji by Image › Color › Split Channels, or make "
        "them RGB by Image › Type › RGB Color", name,
    )  # fmt: skip


def require_one_time(count: int, name: str) -> None:
    """Refuse planes of several times: each is a stack of its own."""
    _require_one(
        count, "time points", "save each as a file of its own, in Fiji by Image › Duplicate; if "
        "they are heights in truth, say so by Image › Properties", name,
    )  # fmt: skip


def _require_one(count: int, what: str, remedy: str, name: str) -> None:
    if count > 1:
        raise InputError(f"{name}: holds {count} {what}; a z-stack has 1: {remedy}")


def _order(pixels: Node, depth: int, own_uuid: object) -> tuple[int, ...]:
    """The image directory of each plane, in order of z; fewer than `depth` where some are not here.

    With one channel and one time, z alone is what planes differ in, whatever the DimensionOrder.
    """
    blocks = _all(pixels, "TiffData")
    if not blocks or blocks == [None]:
        return tuple(range(depth))
    files = {_uuid(block) for block in blocks}
    found: dict[int, int] = {}
    for block in blocks:
        if len(files) > 1 and _uuid(block) != own_uuid:
            continue
        said: Node = block or {}
        count = int(said.get("PlaneCount", 1 if "IFD" in said else depth))
        for number in range(min(count, depth)):
            found[int(said.get("FirstZ", 0)) + number] = int(said.get("IFD", 0)) + number
    return tuple(found[z] for z in range(depth) if z in found)


def _uuid(block: Node | None) -> object:
    said = (block or {}).get("UUID")
    return said.get("value") if isinstance(said, dict) else said


def _steps(pixels: Node, depth: int) -> tuple[float | None, tuple[float, ...] | None]:
    """The z step in µm, negative for planes taken downward, and heights where it is not even."""
    step = _length(pixels, "PhysicalSizeZ")
    step = step if step and step > 0 else None
    positions = _positions(_all(pixels, "Plane"), depth, like_um=step)
    if positions is None:
        return step, None
    steps = np.diff(positions)
    usual = float(median(steps.tolist()))
    if np.all(np.abs(steps - usual) <= _EVEN * abs(usual)):
        return (usual if step is None else float(np.copysign(step, usual))), None
    heights = tuple(float(height - positions[0]) for height in positions)
    return (usual if step is None else float(np.copysign(step, usual))), heights


def _positions(
    planes: Sequence[Node], depth: int, *, like_um: float | None
) -> tuple[float, ...] | None:
    """PositionZ of every plane in µm, if all have one and they make steps in one direction.

    A unit that is none, as many programs leave it, is taken for µm. Positions of which no step is
    like PhysicalSizeZ contradict it and do not count.
    """
    found: dict[int, float] = {}
    for plane in planes:
        value = plane.get("PositionZ")
        height = in_um(value, plane.get("PositionZUnit"))
        if height is None and like_um and isinstance(value, int | float):
            height = float(value)
        if height is not None:
            found[int(plane.get("TheZ", -1))] = height
    if depth < 2 or any(z not in found for z in range(depth)):  # noqa: PLR2004 - a step has 2 ends
        return None
    heights = tuple(found[z] for z in range(depth))
    steps = np.diff(heights)
    if not (np.all(steps > 0) or np.all(steps < 0)):
        return None
    if like_um and not np.any(np.abs(np.abs(steps) / like_um - 1) <= _LIKE_THE_STEP):
        return None
    return heights


def _length(pixels: Node, key: str) -> float | None:
    return in_um(pixels.get(key), pixels.get(f"{key}Unit", "µm"))


def _all(node: Node, key: str) -> list[Any]:
    """The children of that name, which are no list where there is one."""
    found = node.get(key, [])
    return found if isinstance(found, list) else [found]
