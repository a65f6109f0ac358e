"""What `focusstack` does: the images of a folder become one, by the classic method."""

import sys
from pathlib import Path

import cv2

from zstackd_config.errors import InputError
from zstackd_config.lines import one_line
from zstackd_stacking import FrameReport
from zstackd_stacking.files.atomic import require_writable
from zstackd_stacking.files.decoder_words import listen_to_decoders
from zstackd_stacking.files.frames import (
    feed,
    find_frames,
    frame_metadata,
    frame_order,
    require_alike,
)
from zstackd_stacking.files.output import output_format, write_image
from zstackd_stacking.methods.laplacian import Kernels, LaplacianStacker
from zstackd_stacking.types import as_image


def stack_folder(
    folder: Path, output: Path, *, gaussian_px: int, laplacian_px: int, keep_steps: bool
) -> None:
    """Stack the images in `folder` into `output`; does nothing where there are none.

    Raises:
        InputError: a kernel size, an image or the output cannot be used.
    """
    stacker = LaplacianStacker(kernels=Kernels(gaussian_px, laplacian_px))
    frames = find_frames(folder)
    if not frames:
        sys.stdout.write(f"{one_line(str(folder))}: no images in this folder, nothing done\n")
        return
    output_format(output)
    require_writable(output, inputs=frames)
    orientation = require_alike(frames, 0)
    steps = _steps_folder(output) if keep_steps else None

    def on_frame(report: FrameReport) -> None:
        if not report.used:
            sys.stderr.write(f"{one_line(report.name)}: {report.note}\n")
        elif steps is not None:
            _keep_step(stacker, steps)

    order = frame_order(len(frames), "laplacian")
    with listen_to_decoders():
        feed(stacker, frames, order, orientation=orientation, on_frame=on_frame)
    write_image(output, stacker.finish().image, metadata=frame_metadata(frames[0]))
    sys.stdout.write(f"{one_line(str(output))}: written from {len(frames)} images\n")


def _steps_folder(output: Path) -> Path:
    folder = output.with_name(f"{output.stem}_intermediate")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
    return folder


def _keep_step(stacker: LaplacianStacker, folder: Path) -> None:
    step = stacker.last_step
    if step is None:
        return
    stem = Path(step.name).stem
    write_image(folder / f"aligned_{stem}.png", step.aligned)
    bright = cv2.normalize(step.measure, step.measure.copy(), 0, 255, cv2.NORM_MINMAX)
    write_image(folder / f"laplacian_{stem}.png", as_image(cv2.convertScaleAbs(bright)))
