"""One stack of image files, from the frames found to the files written."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zstackd.stack_command.outputs import Settings, Wanted, Written, check_places
from zstackd.stack_command.writers import report_of, write_outputs
from zstackd.system.thrift import keep_little, trim
from zstackd_config.errors import InputError
from zstackd_stacking import FrameReport, StackOptions
from zstackd_stacking.files.decoder_words import listen_to_decoders
from zstackd_stacking.files.frames import find_frames, stack_files
from zstackd_stacking.files.natural import natural_order
from zstackd_stacking.files.pages import FrameFile
from zstackd_stacking.order import Reference

OnFrame = Callable[[FrameReport], None]

_NAMED: dict[str, Reference] = {"first": "first", "middle": "middle", "last": "last"}


@dataclass(frozen=True, slots=True)
class StackJob:
    """What to stack, how, and where the results go.

    `reference` is a name, or a frame's number counted from 1. `inputs` are all files that must
    not be overwritten: the frames', and in a batch those of the other stacks too. `near` is the end
    of the stack, first or last, that is nearest to the lens, where the user says it.
    """

    frames: Sequence[FrameFile]
    outputs: Sequence[Wanted]
    settings: Settings
    options: StackOptions
    reference: str | None = None
    inputs: Sequence[Path] = ()
    near: str | None = None


@dataclass(frozen=True, slots=True)
class StackDone:
    """What came of a job; `report` is as `report_of` makes it."""

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
    check_places(job.outputs, job.inputs)
    if job.options.memory == "low":
        keep_little()
        on_frame = _trimming(on_frame)
    high_is_near = _high_is_near(job.near, job.settings.z_step_um)
    settings = replace(job.settings, high_is_near=high_is_near)
    started = time.perf_counter()
    with listen_to_decoders():
        result = stack_files(
            job.frames,
            replace(job.options, high_is_near=high_is_near),
            reference=reference,
            z_step_um=settings.z_step_um,
            heights_um=settings.heights_um,
            on_frame=on_frame,
        )
    stacked = time.perf_counter()
    files = write_outputs(job.outputs, result, job.frames, settings)
    return StackDone(
        files=files,
        size_px=(result.image.shape[1], result.image.shape[0]),
        report=report_of(result, settings),
        stacking_s=stacked - started,
        writing_s=time.perf_counter() - stacked,
    )


def _trimming(on_frame: OnFrame | None) -> OnFrame:
    """Keep what a frame leaves in small pieces from growing with the frames."""

    def trimmed(report: FrameReport) -> None:
        trim()
        if on_frame is not None:
            on_frame(report)

    return trimmed


def _high_is_near(end: str | None, z_step_um: float | None) -> bool | None:
    """Whether greater heights are nearer to the lens; None where the user did not say."""
    if end is None:
        return None
    rising = z_step_um is None or z_step_um > 0
    return rising == (end == "last")


def _reference(word: str | None, count: int) -> Reference | int | None:
    if word is None or word in _NAMED:
        return None if word is None else _NAMED[word]
    if not word.isdecimal() or not 1 <= int(word) <= count:
        raise InputError(
            f"--reference {word}: must be first, middle, last or a frame's number, 1 to {count}"
        )
    return int(word) - 1
