"""OME-TIFF: images with their scale, heights and exposures, for microscopy programs.

Source: the OME data model 2016-06 (Open Microscopy Environment): physical pixel sizes, and for each
plane its position and exposure time. Written by tifffile, one plane in memory at a time.
"""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile

from zstackd_stacking.files.atomic import replacing
from zstackd_stacking.files.camera_tags import tags_from_exif
from zstackd_stacking.files.output import NO_METADATA, Metadata, centimetre_resolution
from zstackd_stacking.types import Image, as_image

_COLOUR_NDIM: Final = 3
_MICRON: Final = "µm"
_LARGEST_CLASSIC_BYTES: Final = 2**32 - 2**25
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "zstackd/ome")


@dataclass(frozen=True, slots=True)
class Plane:
    """Where the focus stood for a plane and how long it was exposed; None where unknown."""

    z_um: float | None = None
    exposure_s: float | None = None


@dataclass(frozen=True, slots=True)
class OmeInfo:
    """What an OME-TIFF says about its pixels.

    `planes` are those of the file in order; `identity` is text that makes the file's UUID, the same
    for the same result; `notes` become a map annotation.
    """

    name: str
    planes: tuple[Plane, ...]
    identity: str
    pixel_size_um: float | None = None
    z_step_um: float | None = None
    notes: dict[str, str] = field(default_factory=dict)


def is_ome(path: Path) -> bool:
    """Whether a file name asks for OME-TIFF."""
    return path.name.lower().endswith((".ome.tif", ".ome.tiff"))


def write_ome(path: Path, image: Image, info: OmeInfo, *, metadata: Metadata = NO_METADATA) -> None:
    """Write one image (H, W) or (H, W, 3) BGR, uint8 or uint16, as OME-TIFF, by rename.

    Raises:
        StorageError: the file cannot be written.
    """
    _write(path, [image], info, shape=image.shape, dtype=image.dtype, metadata=metadata)


def write_ome_stack(
    path: Path,
    planes: Iterable[Image],
    info: OmeInfo,
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    profile: bytes | None = None,
) -> None:
    """Write images of one `shape` and `dtype`, as many as `info` has planes, as one z-stack.

    `profile` is their ICC profile.

    Raises:
        StorageError: the file cannot be written.
    """
    shape = shape if len(info.planes) == 1 else (len(info.planes), *shape)
    _write(path, planes, info, shape=shape, dtype=dtype, metadata=Metadata(icc=profile))


def _write(
    path: Path,
    planes: Iterable[Image],
    info: OmeInfo,
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    metadata: Metadata = NO_METADATA,
) -> None:
    depth = len(info.planes)
    colour = len(shape) - (depth > 1) == _COLOUR_NDIM
    large = int(np.prod(shape)) * dtype.itemsize > _LARGEST_CLASSIC_BYTES
    options: dict[str, Any] = {
        "photometric": "rgb" if colour else "minisblack",
        "software": "zstackd",
        "iccprofile": metadata.icc,
        "extratags": tags_from_exif(metadata.exif) if metadata.exif else [],
        **centimetre_resolution(info.pixel_size_um),
    }
    axes = ("Z" if depth > 1 else "") + ("YXS" if colour else "YX")
    with (
        replacing(path) as file,
        tifffile.TiffWriter(file, ome=True, bigtiff=large) as writer,
    ):
        writer.write(
            _in_rgb(planes), shape=shape, dtype=dtype, metadata={"axes": axes, **_model(info)},
            **options,
        )  # fmt: skip


def _in_rgb(planes: Iterable[Image]) -> Iterator[Image]:
    for plane in planes:
        yield as_image(plane[..., ::-1]) if plane.ndim == _COLOUR_NDIM else plane


def _model(info: OmeInfo) -> dict[str, Any]:
    """What tifffile turns into OME-XML."""
    model: dict[str, Any] = {
        "Name": _text(info.name),
        "Creator": "zstackd",
        "UUID": str(uuid.uuid5(_NAMESPACE, info.identity)),
    }
    for axis, size_um in (
        ("X", info.pixel_size_um),
        ("Y", info.pixel_size_um),
        ("Z", info.z_step_um),
    ):
        if size_um:
            model |= {f"PhysicalSize{axis}": abs(size_um), f"PhysicalSize{axis}Unit": _MICRON}
    known: dict[str, Any] = {}
    heights = [plane.z_um for plane in info.planes]
    if None not in heights:
        known |= {"PositionZ": heights, "PositionZUnit": [_MICRON] * len(heights)}
    exposures = [plane.exposure_s for plane in info.planes]
    if None not in exposures:
        known |= {"ExposureTime": exposures, "ExposureTimeUnit": ["s"] * len(exposures)}
    if known:
        model["Plane"] = known
    if info.notes:
        notes = {key: _text(note) for key, note in info.notes.items()}
        model["MapAnnotation"] = {"Namespace": "zstackd", **notes}
    return model


def _text(words: str) -> str:
    """Words as XML holds them: file names may have control characters and bytes of no text."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in words)
