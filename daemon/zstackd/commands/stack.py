"""`zstackd stack`: image files become one sharp image, and a height map."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from zstackd.arguments import Parser, file_path

if TYPE_CHECKING:  # they cost start-up, which `--help` and usage errors do without
    from zstackd.stack_job import StackDone, StackJob
    from zstackd_stacking import FrameReport
    from zstackd_stacking.files import OnFrame

_DESCRIPTION = """\
Fuse the images of one z-stack into a single one that is sharp all over.

A frame that cannot be aligned is left out and named. Inputs are never
overwritten, and a result appears whole or not at all."""


def stack(words: Sequence[str]) -> None:
    """Run the command with the words that follow its name.

    Raises:
        InputError: an option, a frame or an output cannot be used.
    """
    wanted = _parser().parse_intermixed_args(words)
    job = _job(wanted)
    terminal = sys.stderr.isatty() and not (wanted.quiet or wanted.json)
    from zstackd.stack_job import run_job  # noqa: PLC0415 - start-up

    with _progress(len(job.frames), shown=terminal) as on_frame:
        done = run_job(job, on_frame)
    _warn(done, notes=not wanted.quiet)
    if wanted.json:
        report = json.dumps(_as_json(done, job.z_step_um), ensure_ascii=False, allow_nan=False)
        sys.stdout.write(f"{report}\n")
    elif not wanted.quiet:
        sys.stdout.write(f"{_summary(done)}\n")


def _parser() -> Parser:
    parser = Parser("zstackd stack", _DESCRIPTION)
    parser.add_argument(
        "frames",
        nargs="*",
        type=file_path,
        metavar="FRAME",
        help="images of one z-stack: JPEG, PNG or TIFF; sorted by the numbers in their names",
    )
    _add_places(parser)
    _add_settings(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="warnings and errors only")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    return parser


def _add_places(parser: Parser) -> None:
    parser.add_argument(
        "-i", "--input", type=file_path, metavar="DIR", help="stack all images in this folder"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=file_path,
        metavar="OUT",
        required=True,
        help="the result: .png, .tif or .jpg",
    )
    parser.add_argument(
        "--depth",
        type=file_path,
        metavar="FILE",
        action="append",
        default=[],
        help="write the height map too: .tif for heights as float32, .png for a picture with "
        "legend and scale bar; may be given more than once",
    )


def _add_settings(parser: Parser) -> None:
    add = parser.add_argument
    add("--z-step-um", type=float, metavar="UM", help="distance between frames in µm; without "
        "it heights are in planes")  # fmt: skip
    add("--pixel-size-um", type=float, metavar="UM", help="size of a pixel on the specimen in µm, "
        "for scale bar and resolution tags")  # fmt: skip
    add("--no-align", action="store_true", help="take the frames as they lie, as from a rigid rig")
    add("--reference", metavar="WHICH", help="the frame that all others are aligned to: first, "
        "middle, last, or its number counted from 1 (default: middle; for laplacian "
        "first)")  # fmt: skip
    add("--method", choices=["pyramid", "laplacian"], default="pyramid", help="pyramid (default) "
        "gives the best image; laplacian is the classic of older tools")  # fmt: skip
    add("--quality", type=int, default=95, metavar="N", help="of a .jpg result, 1 to 100 "
        "(default: %(default)s)")  # fmt: skip


def _job(wanted: Namespace) -> "StackJob":
    from zstackd import stack_job  # noqa: PLC0415 - start-up
    from zstackd_stacking import StackOptions  # noqa: PLC0415 - start-up

    frames = stack_job.gather(wanted.frames, wanted.input)
    return stack_job.StackJob(
        frames=frames,
        output=wanted.output,
        depth=wanted.depth,
        options=StackOptions(
            method=wanted.method, align=not wanted.no_align, depth=bool(wanted.depth)
        ),
        reference=stack_job.reference_from(wanted.reference, len(frames)),
        z_step_um=stack_job.positive("--z-step-um", wanted.z_step_um),
        pixel_size_um=stack_job.positive("--pixel-size-um", wanted.pixel_size_um),
        quality=stack_job.quality_from(wanted.quality),
    )


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator["OnFrame | None"]:
    if not shown:
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - costs start-up, wanted on a terminal only
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("stacking", total=total)

        def advance(_report: "FrameReport") -> None:
            progress.advance(task)

        yield advance


def _warn(done: "StackDone", *, notes: bool) -> None:
    for frame in done.report.frames:
        if frame.note and (notes or not frame.used):
            sys.stderr.write(f"{frame.name}: {frame.note}\n")
    if len(done.report.frames) == 1:
        sys.stderr.write("only one frame: there is nothing to fuse, it is written as it is\n")


def _summary(done: "StackDone") -> str:
    width, height = done.size_px
    names = ", ".join(f"{file.path} ({file.size_bytes / 1e6:.1f} MB)" for file in done.files)
    used = sum(frame.used for frame in done.report.frames)
    seconds = done.stacking_s + done.writing_s
    return f"{used} frames of {width} × {height} px in {seconds:.1f} s: wrote {names}"


def _as_json(done: "StackDone", z_step_um: float | None) -> dict[str, Any]:
    width, height = done.size_px
    return {
        "outputs": [
            {"role": file.role, "path": str(file.path), "bytes": file.size_bytes}
            for file in done.files
        ],
        "width_px": width,
        "height_px": height,
        "depth_unit": "planes" if z_step_um is None else "um",
        **asdict(done.report),
        "seconds": {"stacking": done.stacking_s, "writing": done.writing_s},
    }
