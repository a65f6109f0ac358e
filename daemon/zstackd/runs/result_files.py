"""What files a run's result has, and what writes each of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zstackd.runs.manifest import Role
from zstackd_config.run import Output
from zstackd_stacking import StackResult
from zstackd_stacking.files.output import (
    CONFIDENCE_NOTE,
    in_eight_bits,
    write_depth_tiff,
    write_image,
    write_map_tiff,
)
from zstackd_stacking.files.products import Scale, write_fused_ome
from zstackd_stacking.pictures.height_map import depth_picture, reduced, relief_picture
from zstackd_stacking.pictures.plots import focus_plot
from zstackd_stacking.report import cut_offs, z_step_of
from zstackd_stacking.types import FloatMap, Image

_ALWAYS: Final[frozenset[Role]] = frozenset({"image", "preview", "depth", "depth_picture"})
_PREVIEW_SIDE_PX: Final = 1024
_PREVIEW_QUALITY: Final = 85


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One file: its name, what it is, and what writes it to a path; none needs another one."""

    name: str
    role: Role
    write: Callable[[Path], None]


def result_files(
    result: StackResult,
    settings: Output,
    *,
    pixel_size_um: float,
    high_is_near: bool,
    exposures_s: Mapping[int, float],
) -> list[ResultFile]:
    """Every file that is wanted but the manifest; without heights (in µm) those that need none.

    `high_is_near` tells whether greater heights are nearer to the lens, `exposures_s` the exposure
    times in seconds of the frames, by their index.
    """
    possible = [
        ResultFile(
            f"stack.{settings.format}",
            "image",
            lambda path: _write_stack(path, result, settings, pixel_size_um, exposures_s),
        ),
        ResultFile("preview.jpg", "preview", lambda path: _write_preview(path, result.image)),
        *_height_files(result, pixel_size_um, high_is_near=high_is_near),
        ResultFile(
            "focus_curve.png",
            "focus_curve",
            lambda path: write_image(path, focus_plot(result.report, cut_offs(result))),
        ),
    ]
    return [file for file in possible if file.role in _ALWAYS or file.role in settings.extras]


def _height_files(
    result: StackResult, pixel_size_um: float, *, high_is_near: bool
) -> list[ResultFile]:
    heights, sure = result.depth_um, result.confidence
    if heights is None or sure is None:
        return []
    return [
        ResultFile(
            "depth.tif",
            "depth",
            lambda path: write_depth_tiff(path, heights, pixel_size_um=pixel_size_um),
        ),
        ResultFile(
            "depth.png",
            "depth_picture",
            lambda path: write_image(
                path, depth_picture(heights, sure, pixel_size_um=pixel_size_um)
            ),
        ),
        ResultFile(
            "confidence.tif",
            "confidence",
            lambda path: write_map_tiff(
                path, sure, pixel_size_um=pixel_size_um, note=CONFIDENCE_NOTE
            ),
        ),
        ResultFile(
            "relief.png",
            "relief",
            lambda path: write_image(
                path,
                relief_picture(
                    heights, sure, pixel_size_um=pixel_size_um, high_is_near=high_is_near
                ),
            ),
        ),
        ResultFile(
            "mesh.ply",
            "mesh",
            lambda path: _write_mesh(path, heights, result.image, pixel_size_um),
        ),
    ]


def _write_stack(
    path: Path,
    result: StackResult,
    settings: Output,
    pixel_size_um: float,
    exposures_s: Mapping[int, float],
) -> None:
    if settings.format == "ome.tif":
        scale = Scale(pixel_size_um, z_step_of(result.report))
        write_fused_ome(path, result, scale, exposure_s=exposures_s.get)
        return
    quality = settings.jpeg_quality
    write_image(path, result.image, pixel_size_um=pixel_size_um, quality=quality)


def _write_preview(path: Path, image: Image) -> None:
    small = reduced(image, max_side_px=_PREVIEW_SIDE_PX)
    write_image(path, in_eight_bits(small), quality=_PREVIEW_QUALITY)


def _write_mesh(path: Path, heights: FloatMap, image: Image, pixel_size_um: float) -> None:
    from zstackd_stacking.files.mesh import write_mesh  # noqa: PLC0415 - trimesh costs start-up

    write_mesh(path, heights, image, pixel_size_um=pixel_size_um)
