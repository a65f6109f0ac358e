"""From the command line's words to the job that they ask for."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from zstackd.stack_command.batch import NAME
from zstackd.stack_command.job import StackJob, gather
from zstackd.stack_command.outputs import Role, Settings, Wanted, check_kinds, needs_heights
from zstackd.stack_command.scale import with_frames
from zstackd_config.errors import InputError
from zstackd_stacking import StackOptions
from zstackd_stacking.files.output import MAX_QUALITY
from zstackd_stacking.files.pages import LEAST_UM, MOST_UM
from zstackd_stacking.methods.catalogue import measures_heights
from zstackd_stacking.types import Method

_LEAST_VERTICES, _MOST_VERTICES = 4, 20_000_000


def job_from(wanted: Namespace) -> StackJob:
    """The job of stacking the frames that the user named.

    Raises:
        InputError: an option's value cannot be used, or there are no frames.
    """
    if wanted.output is None:
        raise InputError("zstackd stack: no output named; add -o FILE, such as -o stack.png")
    pattern = pattern_from(wanted)
    return with_frames(pattern, gather(wanted.frames, wanted.input))


def pattern_from(wanted: Namespace) -> StackJob:
    """The job without its frames, which a batch repeats for each subfolder.

    Raises:
        InputError: an option's value cannot be used, or batch and frames are both given.
    """
    if wanted.batch is not None and (wanted.frames or wanted.input):
        raise InputError("--batch takes its frames from subfolders; give no others with it")
    settings = Settings(
        pixel_size_um=_pixel_size(wanted.pixel_size_um),
        z_step_um=_z_step(wanted.z_step_um),
        quality=_between("--quality", wanted.quality, 1, MAX_QUALITY),
        mesh_vertices=_between(
            "--mesh-vertices", wanted.mesh_vertices, _LEAST_VERTICES, _MOST_VERTICES
        ),
        pixel_size_from=None if wanted.pixel_size_um is None else "--pixel-size-um",
        z_step_from=None if wanted.z_step_um is None else "--z-step-um",
    )
    outputs = _outputs(wanted)
    check_kinds(outputs)
    _require_heights(wanted.method, outputs)
    _check_memory(wanted.memory, wanted.method)
    _check_near(wanted)
    options = StackOptions(
        method=wanted.method,
        align=not wanted.no_align,
        depth=needs_heights(outputs),
        memory=wanted.memory,
    )
    return StackJob(
        frames=(),
        outputs=outputs,
        settings=settings,
        options=options,
        reference=wanted.reference,
        near=wanted.near,
    )


def _outputs(wanted: Namespace) -> tuple[Wanted, ...]:
    image: Path = wanted.output or wanted.batch / f"{NAME}.png"
    others = (
        Wanted(role, path)
        for role in get_args(Role)
        if role != "image"
        for path in getattr(wanted, role)
    )
    return Wanted("image", image), *others


def _require_heights(method: Method, outputs: Sequence[Wanted]) -> None:
    if measures_heights(method):
        return
    for wanted in outputs:
        if needs_heights([wanted]):
            raise InputError(
                f"{wanted.path}: the method {method} measures no heights; choose another one, "
                f"or leave --{wanted.role} out"
            )


def _check_memory(memory: str, method: Method) -> None:
    if memory == "low" and method != "pyramid":
        raise InputError(
            f"--memory low: the method {method} takes no less by it; only pyramid does: leave it "
            "out"
        )


def _check_near(wanted: Namespace) -> None:
    end, method = wanted.near, wanted.method
    if end is not None and method not in ("near", "far") and not wanted.relief:
        raise InputError(
            f"--near {end}: only the methods near and far and --relief go by it, not {method}"
        )


def _pixel_size(value_um: float | None) -> float | None:
    if value_um is not None and not LEAST_UM <= value_um <= MOST_UM:
        raise InputError(f"--pixel-size-um {value_um:g}: must be {LEAST_UM:g} to {MOST_UM:g} µm")
    return value_um


def _z_step(value_um: float | None) -> float | None:
    if value_um is not None and not LEAST_UM <= abs(value_um) <= MOST_UM:
        raise InputError(
            f"--z-step-um {value_um:g}: must be {LEAST_UM:g} to {MOST_UM:g} µm; "
            "negative where the frames were taken from above downward"
        )
    return value_um


def _between(option: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise InputError(f"{option} {value}: must be {low} to {high}")
    return value
