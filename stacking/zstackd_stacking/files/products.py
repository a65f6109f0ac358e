"""What else a finished stack can be published as, beside the fused image and its heights."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from zstackd_stacking.files.ome import OmeInfo, Plane, write_ome, write_ome_stack
from zstackd_stacking.files.output import NO_METADATA, Metadata
from zstackd_stacking.geometry import corner_motion_px, identity
from zstackd_stacking.types import FrameReport, Image, StackResult, as_image

_STILL_PX: Final = 0.01

Exposure = Callable[[int], float | None]
"""Gives the exposure time in seconds of the frame of an index; None where it is unknown."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What a pixel and a step between planes measure, in µm; None where unknown."""

    pixel_size_um: float | None = None
    z_step_um: float | None = None


def write_fused_ome(
    path: Path,
    result: StackResult,
    scale: Scale,
    *,
    exposure_s: Exposure,
    metadata: Metadata = NO_METADATA,
) -> None:
    """Write the fused image as OME-TIFF, by rename.

    Its only plane has height and exposure of the reference frame; those of all frames used stand
    in a note.

    Raises:
        StorageError: the file cannot be written.
    """
    report = result.report
    used = [frame for frame in report.frames if frame.used]
    reference = next(frame for frame in report.frames if frame.index == report.reference_index)
    notes = {
        "method": report.method,
        "frames": " ".join(frame.name for frame in used),
        "z_um": _listed(frame.z_um for frame in used),
        "exposure_s": _listed(exposure_s(frame.index) for frame in used),
    }
    info = OmeInfo(
        name=path.name,
        planes=(Plane(reference.z_um, exposure_s(reference.index)),),
        identity=repr(report),
        pixel_size_um=scale.pixel_size_um,
        z_step_um=scale.z_step_um,
        notes={key: text for key, text in notes.items() if text},
    )
    write_ome(path, result.image, info, metadata=metadata)


def write_aligned_stack(
    path: Path,
    result: StackResult,
    scale: Scale,
    *,
    load: Callable[[int], Image],
    exposure_s: Exposure,
    profile: bytes | None = None,
) -> None:
    """Write every frame used, moved to where the result has it, as one OME-TIFF z-stack by rename.

    Frames come from `load` by their index, one at a time; brightness is left as it was taken, and
    pixels from outside a frame are black. Of the classic method's homographies only the affine
    part is applied. `profile` is the frames' ICC profile.

    Raises:
        StorageError: the file cannot be written.
    """
    used = [frame for frame in result.report.frames if frame.used]
    info = OmeInfo(
        name=path.name,
        planes=tuple(Plane(frame.z_um, exposure_s(frame.index)) for frame in used),
        identity=f"aligned {result.report!r}",
        pixel_size_um=scale.pixel_size_um,
        z_step_um=scale.z_step_um,
        notes={"frames": " ".join(frame.name for frame in used)},
    )
    write_ome_stack(
        path,
        _aligned(used, load),
        info,
        shape=result.image.shape,
        dtype=result.image.dtype,
        profile=profile,
    )


def _aligned(frames: Sequence[FrameReport], load: Callable[[int], Image]) -> Iterator[Image]:
    for frame in frames:
        image = load(frame.index)
        height, width = image.shape[:2]
        matrix = np.asarray(frame.transform, np.float64)
        if corner_motion_px(matrix, identity(), width=width, height=height) < _STILL_PX:
            yield image
            continue
        moved: Any = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC)
        yield as_image(moved)


def _listed(values: Iterator[float | None] | Sequence[float | None]) -> str:
    """Numbers in a row; nothing at all where one of them is unknown."""
    known = list(values)
    return "" if None in known else " ".join(f"{value:g}" for value in known)
