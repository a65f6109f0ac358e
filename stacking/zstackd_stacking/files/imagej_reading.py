"""What ImageJ and Fiji note in a TIFF of its planes: how many there are of what, and their scale.

Source: ImageJ's own TiffEncoder and FileInfo: `key=value` lines in the description; the resolution
tags count pixels per `unit`.
"""

from collections.abc import Mapping
from typing import Any

from zstackd_config.errors import InputError
from zstackd_stacking.files.ome_reading import require_one_channel, require_one_time
from zstackd_stacking.files.pages import Described, in_um, square


def imagej_planes(
    said: Mapping[str, Any], pages: tuple[int, ...], per_unit: tuple[float, float], name: str
) -> Described:
    """The planes of a TIFF with these `pages`, and with so many pixels `per_unit` in x and y.

    Raises:
        InputError: several channels or times, or fewer images than there should be.
    """
    require_one_channel(_count(said, "channels"), name)
    require_one_time(_count(said, "frames"), name)
    wanted = _count(said, "images")
    if len(pages) < wanted:
        raise InputError(
            f"{name}: holds {len(pages)} of the {wanted} planes that its ImageJ description lists: "
            "the file is cut off; copy it again"
        )
    unit = said.get("unit")
    sides = (
        in_um(1 / count, side) if count > 0 else None
        for count, side in zip(per_unit, (unit, said.get("yunit", unit)), strict=True)
    )
    size, doubts = square(*sides)
    step = in_um(said.get("spacing"), said.get("zunit", unit))
    return Described(pages, size, step or None, doubts=doubts)


def _count(said: Mapping[str, Any], key: str) -> int:
    value = said.get(key, 1)
    return value if isinstance(value, int) else 1
