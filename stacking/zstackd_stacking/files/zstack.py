"""A TIFF that holds a whole z-stack: OME-TIFF, ImageJ's, or simply one of many pages.

Only its directories and descriptions are read here; planes are read one by one, as frames are.
"""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tifffile

from zstackd_config.errors import InputError
from zstackd_stacking.files.containers import kind_of, truncated
from zstackd_stacking.files.imagej_reading import imagej_planes
from zstackd_stacking.files.ome_reading import ome_planes, require_one_channel, require_one_time
from zstackd_stacking.files.pages import LEAST_UM, MOST_UM, Described, Page
from zstackd_stacking.files.tiff import DAMAGE, is_plane, unreadable

_LOG = logging.getLogger(__name__)

_X_RESOLUTION, _Y_RESOLUTION = 282, 283


@dataclass(frozen=True, slots=True)
class ZStack:
    """The planes of one file in order of focus, and what it says of its scale.

    `heights_um` are those above the first plane, where the steps between planes are not even.
    `told_by` names what says it: OME-XML, ImageJ description, or nothing (an empty text).
    """

    path: Path
    planes: tuple[Page, ...]
    pixel_size_um: float | None
    z_step_um: float | None
    heights_um: tuple[float, ...] | None
    told_by: str
    by_zstackd: bool


def read_zstack(path: Path) -> ZStack | None:
    """The z-stack that a file holds; None where it holds one image, or is no TIFF.

    What of its scale cannot be used is left out, with a warning in the log.

    Raises:
        InputError: damaged, cut off, or of several channels or times.
    """
    try:
        with path.open("rb") as file:
            if kind_of(file.read(16)) != "tiff":
                return None
        with tifffile.TiffFile(path) as tiff:
            told_by, said = _described(tiff, path)
            single = len(tiff.pages) == 1
    except DAMAGE as error:
        raise unreadable(str(path), error) from error
    if len(said.order) < 2:  # noqa: PLR2004 - one plane is no stack
        return None
    for doubt in said.doubts:
        _LOG.warning("%s: warning: %s", path, doubt)
    planes = tuple(
        Page(path, number, *((0, place) if single else (place, 0)))
        for number, place in enumerate(said.order, start=1)
    )
    return ZStack(
        path=path,
        planes=planes,
        pixel_size_um=_sane("pixel size", said.pixel_size_um, path),
        z_step_um=_sane("z step", said.z_step_um, path),
        heights_um=said.heights_um,
        told_by=told_by,
        by_zstackd=said.by_zstackd,
    )


def _described(tiff: tifffile.TiffFile, path: Path) -> tuple[str, Described]:
    name, first = str(path), tiff.pages.first
    pages = tuple(number for number, page in enumerate(tiff.pages) if is_plane(page))
    _require_whole_chain(tiff, path)
    if tiff.ome_metadata:
        if len(tiff.pages) == 1:  # one plane, perhaps of a stack in files of their own
            return "", Described(pages)
        samples = first.samplesperpixel
        return "OME-XML", ome_planes(tiff.ome_metadata, len(tiff.pages), name, samples=samples)
    said = tiff.imagej_metadata
    wanted = int(said.get("images", 1)) if said else _shaped(tiff, name)
    if len(pages) == 1 < wanted and first.is_contiguous:  # so ImageJ writes what exceeds 4 GB
        _require_room(tiff, wanted, path)
        pages = tuple(range(wanted))
    if not said:
        return "", Described(pages)
    per_unit = _resolution(first, _X_RESOLUTION), _resolution(first, _Y_RESOLUTION)
    return "ImageJ description", imagej_planes(said, pages, per_unit, name)


def _shaped(tiff: tifffile.TiffFile, name: str) -> int:
    """How many images tifffile, as programs in Python use it, says to have written."""
    for said in tiff.shaped_metadata or ():
        size = tuple(said.get("shape", ()))
        axes = str(said.get("axes", "")).ljust(len(size))
        lead = len(size) - tiff.pages.first.ndim
        counts = {axis: count for axis, count in zip(axes[:lead], size, strict=False) if count > 1}
        require_one_channel(counts.get("C", 1), name)
        require_one_time(counts.get("T", 1), name)
        if sum(count > 1 for count in size[:lead]) > 1:
            raise InputError(
                f"{name}: its images count along several axes ({' × '.join(map(str, size[:lead]))})"
                "; a z-stack has 1: save each channel or time point as a file of its own"
            )
        return math.prod(size[:lead])
    return 1


def _require_whole_chain(tiff: tifffile.TiffFile, path: Path) -> None:
    """Refuse a file whose last directory points to another one that is not there."""
    end = tiff.pages.next_page_offset
    if end is None:
        return
    tiff.filehandle.seek(end)
    if any(tiff.filehandle.read(tiff.tiff.offsetsize)):
        raise truncated("TIFF", path.stat().st_size, str(path))


def _require_room(tiff: tifffile.TiffFile, images: int, path: Path) -> None:
    first = tiff.pages.first
    if first.dataoffsets[0] + images * first.nbytes > path.stat().st_size:
        raise truncated("TIFF", path.stat().st_size, str(path))


def _resolution(page: tifffile.TiffPage, tag: int) -> float:
    """Pixels per unit; 0 where that is not known."""
    value: Any = page.tags.valueof(tag, default=(0, 1))
    return value[0] / value[1] if isinstance(value, tuple) and value[1] else 0.0


def _sane(what: str, value_um: float | None, path: Path) -> float | None:
    if value_um is None or LEAST_UM <= abs(value_um) <= MOST_UM:
        return value_um
    _LOG.warning(
        "%s: warning: its %s of %g µm is left out: it must be %g to %g µm",
        path, what, value_um, LEAST_UM, MOST_UM,
    )  # fmt: skip
    return None
