"""What `zstackd stack` can write of one result, checked before the work begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from zstackd_config.errors import InputError
from zstackd_stacking.files.atomic import require_writable
from zstackd_stacking.files.output import FORMATS, output_format

Role = Literal["image", "depth", "confidence", "relief", "mesh", "aligned", "report"]

OME_ENDINGS: Final = (".ome.tif", ".ome.tiff")
_MAP: Final = (".tif", ".tiff", ".png")
_ENDINGS: Final[dict[Role, tuple[str, ...]]] = {
    "image": tuple(FORMATS),
    "depth": _MAP,
    "confidence": _MAP,
    "relief": (".png", ".jpg", ".jpeg"),
    "mesh": (".ply", ".glb"),
    "aligned": OME_ENDINGS,
    "report": (".json", ".png"),
}
_NEEDS_HEIGHTS: Final = frozenset({"depth", "confidence", "relief", "mesh"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file that the user asked for."""

    role: Role
    path: Path


@dataclass(frozen=True, slots=True)
class Written:
    """One file that was written."""

    role: Role
    path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Settings:
    """How files are written; sizes in µm, None where unknown.

    `pixel_size_from` and `z_step_from` name the option, or the part of the input, that tells them.
    `heights_um` are those of the frames, where the steps between them are not even.
    `high_is_near`: whether greater heights are nearer to the lens; None where nobody said so.
    """

    pixel_size_um: float | None
    z_step_um: float | None
    quality: int
    mesh_vertices: int
    pixel_size_from: str | None = None
    z_step_from: str | None = None
    heights_um: tuple[float, ...] | None = None
    high_is_near: bool | None = None

    def scale_as_json(self) -> dict[str, float | str | None]:
        """The scale, and where it comes from, as reports have it."""
        return {
            "pixel_size_um": self.pixel_size_um,
            "pixel_size_from": self.pixel_size_from,
            "z_step_um": self.z_step_um,
            "z_step_from": self.z_step_from,
        }


def needs_heights(outputs: Sequence[Wanted]) -> bool:
    """Whether any of the outputs is made of the height map."""
    return any(wanted.role in _NEEDS_HEIGHTS for wanted in outputs)


def check_kinds(outputs: Sequence[Wanted]) -> None:
    """Refuse outputs whose names ask for a format that they do not come in.

    Raises:
        InputError: names the output, and what it is written as.
    """
    for wanted in outputs:
        _require_ending(wanted)


def require_scale(outputs: Sequence[Wanted], settings: Settings) -> None:
    """Refuse outputs that need a scale where it is unknown.

    Raises:
        InputError: names the output, and the options that give the scale.
    """
    for wanted in outputs:
        if wanted.role == "mesh" and not (settings.pixel_size_um and settings.z_step_um):
            raise InputError(
                f"{wanted.path}: a mesh is in µm: give --pixel-size-um and --z-step-um with it"
            )


def check_places(outputs: Sequence[Wanted], inputs: Sequence[Path]) -> None:
    """Refuse, before long work, outputs that cannot be written where they are to go.

    Raises:
        InputError: a folder is missing or closed, a name stands twice, or is one of `inputs`.
    """
    seen: set[Path] = set()
    for wanted in outputs:
        require_writable(wanted.path, inputs=inputs)
        if wanted.path.resolve() in seen:
            raise InputError(f"{wanted.path}: named for two outputs; give each its own name")
        seen.add(wanted.path.resolve())


def _require_ending(wanted: Wanted) -> None:
    if wanted.role == "image":
        output_format(wanted.path)
    elif not wanted.path.name.lower().endswith(_ENDINGS[wanted.role]):
        *others, last = _ENDINGS[wanted.role]
        what = {"depth": "a depth map", "aligned": "the aligned z-stack"}
        name = what.get(wanted.role, f"the {wanted.role}")
        raise InputError(f"{wanted.path}: {name} is written as {', '.join(others)} or {last}")
