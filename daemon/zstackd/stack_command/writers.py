"""How each output of `zstackd stack` is written."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from zstackd.stack_command.outputs import OME_ENDINGS, Role, Settings, Wanted, Written
from zstackd_config.errors import InputError
from zstackd_stacking import StackResult
from zstackd_stacking.files.atomic import write_atomically
from zstackd_stacking.files.frames import common_orientation, frame_metadata
from zstackd_stacking.files.images import load_image, probe_image
from zstackd_stacking.files.output import (
    CONFIDENCE_NOTE,
    Metadata,
    output_format,
    write_depth_tiff,
    write_image,
    write_map_tiff,
)
from zstackd_stacking.files.pages import FrameFile
from zstackd_stacking.report import as_json, cut_offs, high_is_near, unit_of
from zstackd_stacking.types import FloatMap, Image


def write_outputs(
    outputs: Sequence[Wanted], result: StackResult, frames: Sequence[FrameFile], settings: Settings
) -> tuple[Written, ...]:
    """Write everything asked for, each file by rename, and say how large it became.

    Raises:
        StorageError: a file cannot be written; those before it are there.
    """
    work = _Work(result, frames, settings)
    for wanted in outputs:
        _WRITERS[wanted.role](work, wanted.path)
    return tuple(
        Written(wanted.role, wanted.path, wanted.path.stat().st_size) for wanted in outputs
    )


def report_of(result: StackResult, settings: Settings) -> dict[str, Any]:
    """What `zstackd_stacking.report.as_json` makes of a result, and the scale it was given."""
    return {**as_json(result), "scale": settings.scale_as_json()}


@dataclass(frozen=True, slots=True)
class _Work:
    result: StackResult
    frames: Sequence[FrameFile]
    settings: Settings

    @property
    def unit(self) -> str:
        return unit_of(self.result.report)

    def heights(self) -> tuple[FloatMap, FloatMap]:
        depth, confidence = self.result.depth_um, self.result.confidence
        if depth is None or confidence is None:
            raise InputError(f"the method {self.result.report.method} measures no heights")
        return depth, confidence

    def metadata(self) -> Metadata:
        """What goes from the reference frame to the results."""
        return frame_metadata(self.frames[self.result.report.reference_index])

    def exposure_s(self, index: int) -> float | None:
        from zstackd_stacking.files.camera_tags import exposure_s  # noqa: PLC0415 - costs start-up

        exif = probe_image(self.frames[index]).exif
        return exposure_s(exif) if exif else None


def _image(work: _Work, path: Path) -> None:
    metadata = work.metadata()
    settings = work.settings
    if path.name.lower().endswith(OME_ENDINGS):
        from zstackd_stacking.files.products import Scale, write_fused_ome  # noqa: PLC0415

        scale = Scale(settings.pixel_size_um, settings.z_step_um)
        exposures = cache(work.exposure_s)
        write_fused_ome(path, work.result, scale, exposure_s=exposures, metadata=metadata)
        return
    write_image(
        path,
        work.result.image,
        pixel_size_um=settings.pixel_size_um,
        quality=settings.quality,
        metadata=metadata,
    )


def _depth(work: _Work, path: Path) -> None:
    depth, confidence = work.heights()
    pixel_size_um = work.settings.pixel_size_um
    if output_format(path) == "tiff":
        write_depth_tiff(path, depth, pixel_size_um=pixel_size_um, unit=work.unit)
        return
    from zstackd_stacking.pictures.height_map import depth_picture  # noqa: PLC0415 - start-up

    unit = work.unit.replace("um", "µm")
    write_image(path, depth_picture(depth, confidence, pixel_size_um=pixel_size_um, unit=unit))


def _confidence(work: _Work, path: Path) -> None:
    _, confidence = work.heights()
    pixel_size_um = work.settings.pixel_size_um
    if output_format(path) == "tiff":
        write_map_tiff(path, confidence, pixel_size_um=pixel_size_um, note=CONFIDENCE_NOTE)
        return
    grey = np.rint(confidence * np.float32(255)).astype(np.uint8)
    write_image(path, grey, pixel_size_um=pixel_size_um)


def _relief(work: _Work, path: Path) -> None:
    from zstackd_stacking.pictures.height_map import relief_picture  # noqa: PLC0415 - start-up

    depth, confidence = work.heights()
    picture = relief_picture(
        depth,
        confidence,
        pixel_size_um=work.settings.pixel_size_um,
        unit=work.unit.replace("um", "µm"),
        high_is_near=high_is_near(work.settings.high_is_near, work.result.report),
    )
    write_image(path, picture, quality=work.settings.quality)


def _mesh(work: _Work, path: Path) -> None:
    from zstackd_stacking.files.mesh import write_mesh  # noqa: PLC0415 - trimesh costs start-up

    depth, _ = work.heights()
    write_mesh(
        path,
        depth,
        work.result.image,
        pixel_size_um=work.settings.pixel_size_um or 1.0,
        vertices=work.settings.mesh_vertices,
    )


def _aligned(work: _Work, path: Path) -> None:
    from zstackd_stacking.files.products import Scale, write_aligned_stack  # noqa: PLC0415

    orientation = common_orientation([probe_image(frame) for frame in work.frames])

    def load(index: int) -> Image:
        return load_image(work.frames[index], orientation).image

    scale = Scale(work.settings.pixel_size_um, work.settings.z_step_um)
    write_aligned_stack(
        path,
        work.result,
        scale,
        load=load,
        exposure_s=work.exposure_s,
        profile=work.metadata().icc,
    )


def _report(work: _Work, path: Path) -> None:
    if path.suffix.lower() == ".json":
        content = report_of(work.result, work.settings)
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
        # Of a name that is no text, JSON has the escapes that Python's own names have.
        write_atomically(path, [f"{text}\n".encode(errors="backslashreplace")])
        return
    from zstackd_stacking.pictures.plots import focus_plot  # noqa: PLC0415 - costs start-up

    write_image(path, focus_plot(work.result.report, cut_offs(work.result)))


_WRITERS: Final[dict[Role, Callable[[_Work, Path], None]]] = {
    "image": _image,
    "depth": _depth,
    "confidence": _confidence,
    "relief": _relief,
    "mesh": _mesh,
    "aligned": _aligned,
    "report": _report,
}
