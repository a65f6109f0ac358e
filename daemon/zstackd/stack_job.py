"""One stack of image files, from the command line's words to the files written."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zstackd_config.errors import InputError
from zstackd_stacking import FrameReport, StackOptions, StackReport, StackResult
from zstackd_stacking.atomic import require_writable
from zstackd_stacking.files import find_frames, frame_metadata, natural_order, stack_files
from zstackd_stacking.order import Reference
from zstackd_stacking.output import (
    DEFAULT_QUALITY,
    MAX_QUALITY,
    output_format,
    write_depth_tiff,
    write_image,
)

_NAMED: dict[str, Reference] = {"first": "first", "middle": "middle", "last": "last"}


@dataclass(frozen=True, slots=True)
class StackJob:
    """What to stack, how, and where the results go; `reference` is a name or an index from 0."""

    frames: Sequence[Path]
    output: Path
    depth: Sequence[Path] = ()
    options: StackOptions = field(default_factory=StackOptions)
    reference: Reference | int | None = None
    z_step_um: float | None = None
    pixel_size_um: float | None = None
    quality: int = DEFAULT_QUALITY


@dataclass(frozen=True, slots=True)
class Written:
    """One file that was written."""

    role: str
    path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StackDone:
    """What came of a job."""

    files: tuple[Written, ...]
    size_px: tuple[int, int]
    report: StackReport
    stacking_s: float
    writing_s: float


def gather(frames: Sequence[Path], folder: Path | None) -> list[Path]:
    """The frames that the user named, one by one or by their folder, in natural order.

    Raises:
        InputError: neither or both were given, or the folder holds no images.
    """
    if folder is None:
        if not frames:
            raise InputError("no frames to stack: name image files, or a folder of them with -i")
        return natural_order(frames)
    if frames:
        raise InputError(f"both frames and the folder {folder} were given; give one or the other")
    found = find_frames(folder)
    if not found:
        raise InputError(f"{folder}: no JPEG, PNG or TIFF images in this folder")
    return found


def reference_from(word: str | None, count: int) -> Reference | int | None:
    """The reference that a user's word means: a name, or a frame's number counted from 1.

    Raises:
        InputError: the word is neither.
    """
    if word is None or word in _NAMED:
        return None if word is None else _NAMED[word]
    if not word.isdecimal() or not 1 <= int(word) <= count:
        raise InputError(
            f"--reference {word}: must be first, middle, last or a frame's number, 1 to {count}"
        )
    return int(word) - 1


def positive(option: str, value_um: float | None) -> float | None:
    """`value_um` itself; InputError where it is zero, negative or no number."""
    if value_um is not None and not (math.isfinite(value_um) and value_um > 0):
        raise InputError(f"{option} {value_um:g}: must be a length above 0 µm")
    return value_um


def quality_from(value: int) -> int:
    """`value` itself; InputError where it is no JPEG quality."""
    if not 1 <= value <= MAX_QUALITY:
        raise InputError(f"--quality {value}: must be 1 to {MAX_QUALITY}")
    return value


def run_job(job: StackJob, on_frame: Callable[[FrameReport], None] | None = None) -> StackDone:
    """Check the outputs, stack the frames, write the results.

    Raises:
        InputError: a frame or an output cannot be used; nothing was written.
        StorageError: a result could not be written.
    """
    _check_outputs(job)
    started = time.perf_counter()
    result = stack_files(
        job.frames,
        job.options,
        reference=job.reference,
        z_step_um=job.z_step_um,
        on_frame=on_frame,
    )
    stacked = time.perf_counter()
    files = _write(job, result)
    return StackDone(
        files=tuple(files),
        size_px=(result.image.shape[1], result.image.shape[0]),
        report=result.report,
        stacking_s=stacked - started,
        writing_s=time.perf_counter() - stacked,
    )


def _check_outputs(job: StackJob) -> None:
    output_format(job.output)
    for path in job.depth:
        if output_format(path) == "jpeg":
            raise InputError(f"{path}: a depth map is a .tif (float32 heights) or a .png (picture)")
    outputs = [job.output, *job.depth]
    for path in outputs:
        require_writable(path, inputs=job.frames)
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise InputError(f"{outputs[-1]}: named for two outputs; give each its own name")


def _write(job: StackJob, result: StackResult) -> list[Written]:
    metadata = frame_metadata(job.frames[result.report.reference_index])
    write_image(
        job.output,
        result.image,
        pixel_size_um=job.pixel_size_um,
        quality=job.quality,
        metadata=metadata,
    )
    for path in job.depth:
        _write_depth(job, result, path)
    roles = [("image", job.output), *(("depth", path) for path in job.depth)]
    return [Written(role, path, path.stat().st_size) for role, path in roles]


def _write_depth(job: StackJob, result: StackResult, path: Path) -> None:
    if result.depth_um is None:
        return
    unit = "planes" if job.z_step_um is None else "um"
    if output_format(path) == "tiff":
        write_depth_tiff(path, result.depth_um, pixel_size_um=job.pixel_size_um, unit=unit)
        return
    from zstackd_stacking.pictures import depth_picture  # noqa: PLC0415 - costs start-up

    picture = depth_picture(
        result.depth_um,
        result.confidence,
        pixel_size_um=job.pixel_size_um,
        unit=unit.replace("um", "µm"),
    )
    write_image(path, picture)
