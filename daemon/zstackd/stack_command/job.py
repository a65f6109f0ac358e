"""One stack of image files, from the frames found to the files written."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zstackd.stack_command.outputs import Settings, Wanted, Written, check_places
from zstackd.stack_command.run_heights import heights_of_run
from zstackd.stack_command.writers import write_outputs
from zstackd.system.thrift import keep_little, trim
from zstackd_config.errors import InputError
from zstackd_stacking import FrameReport, StackOptions
from zstackd_stacking.files.frames import find_frames, natural_order, stack_files
from zstackd_stacking.order import Reference
from zstackd_stacking.report import as_json, z_step_of

OnFrame = Callable[[FrameReport], None]

_NAMED: dict[str, Reference] = {"first": "first", "middle": "middle", "last": "last"}


@dataclass(frozen=True, slots=True)
class StackJob:
    """What to stack, how, and where the results go.

    `reference` is a name, or a frame's number counted from 1. `inputs` are all files that must
    not be overwritten: the frames, and in a batch those of the other stacks too.
    """

    frames: Sequence[Path]
    outputs: Sequence[Wanted]
    settings: Settings
    options: StackOptions
    reference: str | None = None
    inputs: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class StackDone:
    """What came of a job; `report` is as `zstackd_stacking.report.as_json` makes it."""

    files: tuple[Written, ...]
    size_px: tuple[int, int]
    report: dict[str, Any]
    stacking_s: float
    writing_s: float

    def as_json(self) -> dict[str, Any]:
        """All of it, as `--json` prints it."""
        width, height = self.size_px
        outputs = [
            {"role": file.role, "path": str(file.path), "bytes": file.size_bytes}
            for file in self.files
        ]
        seconds = {"stacking": self.stacking_s, "writing": self.writing_s}
        sizes = {"width_px": width, "height_px": height}
        return {"outputs": outputs, **sizes, **self.report, "seconds": seconds}


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


def run_job(job: StackJob, on_frame: OnFrame | None = None) -> StackDone:
    """Check the outputs, stack the frames, write the results.

    Raises:
        InputError: a frame or an output cannot be used; nothing was written.
        StorageError: a result could not be written.
    """
    reference = _reference(job.reference, len(job.frames))
    check_places(job.outputs, job.inputs or job.frames)
    if job.options.memory == "low":
        keep_little()
        on_frame = _trimming(on_frame)
    settings = job.settings
    heights_um = None if settings.z_step_um else heights_of_run(job.frames)
    started = time.perf_counter()
    result = stack_files(
        job.frames,
        _with_nearer(job.options, heights_um),
        reference=reference,
        z_step_um=settings.z_step_um,
        heights_um=heights_um,
        on_frame=on_frame,
    )
    stacked = time.perf_counter()
    if heights_um is not None:
        settings = replace(settings, z_step_um=z_step_of(result.report))
    files = write_outputs(job.outputs, result, job.frames, settings)
    return StackDone(
        files=files,
        size_px=(result.image.shape[1], result.image.shape[0]),
        report=as_json(result),
        stacking_s=stacked - started,
        writing_s=time.perf_counter() - stacked,
    )


def _with_nearer(options: StackOptions, heights_um: Sequence[float] | None) -> StackOptions:
    """The options with the nearer end as a height: the user says it as a frame, first or last."""
    if heights_um is None or options.high_is_near is None or heights_um[-1] >= heights_um[0]:
        return options
    return replace(options, high_is_near=not options.high_is_near)


def _trimming(on_frame: OnFrame | None) -> OnFrame:
    """Keep what a frame leaves in small pieces from growing with the frames."""

    def trimmed(report: FrameReport) -> None:
        trim()
        if on_frame is not None:
            on_frame(report)

    return trimmed


def _reference(word: str | None, count: int) -> Reference | int | None:
    if word is None or word in _NAMED:
        return None if word is None else _NAMED[word]
    if not word.isdecimal() or not 1 <= int(word) <= count:
        raise InputError(
            f"--reference {word}: must be first, middle, last or a frame's number, 1 to {count}"
        )
    return int(word) - 1
