"""Files about a result that lie beside its image and height map, under names of their own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

from zstackd_stacking.files.output import CONFIDENCE_NOTE, write_image, write_map_tiff
from zstackd_stacking.pictures.height_map import relief_picture
from zstackd_stacking.pictures.plots import focus_plot
from zstackd_stacking.report import cut_offs
from zstackd_stacking.types import StackResult

Extra = Literal["confidence", "relief", "mesh", "focus_curve"]


def write_extras(
    folder: Path, result: StackResult, wanted: Sequence[Extra], *, pixel_size_um: float
) -> list[tuple[Path, Extra]]:
    """Write what is wanted into `folder`, and return which file is what.

    `confidence.tif` (float32), `relief.png`, `mesh.ply` and `focus_curve.png`. Those that are made
    of heights are left out where the result has none. Heights must be in µm.

    Raises:
        StorageError: a file cannot be written.
    """
    written: list[tuple[Path, Extra]] = []
    for extra in wanted:
        name, write = _WRITERS[extra]
        if extra != "focus_curve" and (result.depth_um is None or result.confidence is None):
            continue
        write(folder / name, result, pixel_size_um)
        written.append((folder / name, extra))
    return written


def _confidence(path: Path, result: StackResult, pixel_size_um: float) -> None:
    if result.confidence is not None:
        write_map_tiff(path, result.confidence, pixel_size_um=pixel_size_um, note=CONFIDENCE_NOTE)


def _relief(path: Path, result: StackResult, pixel_size_um: float) -> None:
    if result.depth_um is not None:
        picture = relief_picture(result.depth_um, result.confidence, pixel_size_um=pixel_size_um)
        write_image(path, picture)


def _mesh(path: Path, result: StackResult, pixel_size_um: float) -> None:
    from zstackd_stacking.files.mesh import write_mesh  # noqa: PLC0415 - trimesh costs start-up

    if result.depth_um is not None:
        write_mesh(path, result.depth_um, result.image, pixel_size_um=pixel_size_um)


def _focus_curve(path: Path, result: StackResult, pixel_size_um: float) -> None:
    del pixel_size_um
    write_image(path, focus_plot(result.report, cut_offs(result)))


_WRITERS: Final[dict[Extra, tuple[str, Callable[[Path, StackResult, float], None]]]] = {
    "confidence": ("confidence.tif", _confidence),
    "relief": ("relief.png", _relief),
    "mesh": ("mesh.ply", _mesh),
    "focus_curve": ("focus_curve.png", _focus_curve),
}
