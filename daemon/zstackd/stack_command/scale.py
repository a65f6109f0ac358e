"""The frames of a job, and their scale: by the command line, or else by the file of the stack."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zstackd.stack_command.job import StackJob
from zstackd.stack_command.outputs import Settings, require_scale
from zstackd.stack_command.run_heights import heights_of_run
from zstackd_stacking.files.pages import FrameFile
from zstackd_stacking.report import usual_gap

if TYPE_CHECKING:  # tifffile costs start-up, which single frames do without
    from zstackd_stacking.files.zstack import ZStack

_LOG = logging.getLogger(__name__)


def with_frames(job: StackJob, files: Sequence[Path]) -> StackJob:
    """The job with the frames that `files` hold; a single file may hold all planes of a z-stack.

    Of frames of a run, its journal has the heights.

    Raises:
        InputError: such a file cannot be used, or an output needs a scale that nobody told.
    """
    stack = zstack_in(files[0]) if len(files) == 1 else None
    settings = _of_run(files, job.settings) if stack is None else _settings(stack, job.settings)
    require_scale(job.outputs, settings)
    if stack is not None:
        _LOG.info("%s: %d planes%s", stack.path, len(stack.planes), _found(stack, settings))
    frames: Sequence[FrameFile] = files if stack is None else stack.planes
    return replace(job, frames=frames, settings=settings, inputs=job.inputs or files)


def zstack_in(file: Path) -> "ZStack | None":
    """The z-stack that a file holds; None where it holds one image, or cannot be one at all.

    Raises:
        InputError: it cannot be used.
    """
    if not file.is_file():
        return None
    from zstackd_stacking.files.zstack import read_zstack  # noqa: PLC0415 - as above

    return read_zstack(file)


def _settings(stack: "ZStack", settings: Settings) -> Settings:
    if settings.pixel_size_um is None and stack.pixel_size_um is not None:
        size, told_by = stack.pixel_size_um, stack.told_by
        settings = replace(settings, pixel_size_um=size, pixel_size_from=told_by)
    if settings.z_step_um is None and stack.z_step_um is not None:
        step, heights = stack.z_step_um, stack.heights_um
        settings = replace(settings, z_step_um=step, heights_um=heights, z_step_from=stack.told_by)
    return settings


def _of_run(files: Sequence[Path], settings: Settings) -> Settings:
    heights = None if settings.z_step_um else heights_of_run(files)
    if heights is None or len(heights) < 2:  # noqa: PLR2004 - no step between them
        return settings
    step = usual_gap(sorted(heights)) * (1 if heights[-1] >= heights[0] else -1)
    return replace(
        settings, z_step_um=step, heights_um=tuple(heights), z_step_from="the run's journal"
    )


def _found(stack: "ZStack", settings: Settings) -> str:
    """What was taken from the file, in words."""
    found = []
    if settings.pixel_size_from == stack.told_by:
        found.append(f"pixel size {settings.pixel_size_um:g} µm")
    if settings.z_step_from == stack.told_by:
        uneven = " (uneven)" if settings.heights_um else ""
        found.append(f"z step {settings.z_step_um:g} µm{uneven}")
    return f", {' and '.join(found)} by its {stack.told_by}" if found else ""
