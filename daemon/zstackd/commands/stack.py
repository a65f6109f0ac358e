"""`zstackd stack`: image files become one sharp image, and a height map."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:  # they cost start-up, which `--help` and usage errors do without
    from zstackd.stack_job import StackDone
    from zstackd_stacking import FrameReport
    from zstackd_stacking.files import OnFrame

Frames = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="FRAMES",
        help="Images of one z-stack: JPEG, PNG or TIFF. They are sorted by the numbers in "
        "their names.",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="OUT", help="The result: .png, .tif or .jpg.", show_default=False
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "-i", "--input", metavar="DIR", help="Stack all images in this folder.", show_default=False
    ),
]
Depth = Annotated[
    list[Path] | None,
    typer.Option(
        "--depth",
        metavar="FILE",
        help="Write the height map too: .tif for heights as float32, .png for a picture with "
        "legend and scale bar. May be given more than once.",
        show_default=False,
    ),
]
ZStep = Annotated[
    float | None,
    typer.Option(
        "--z-step-um",
        metavar="UM",
        help="Distance between frames in µm. Without it heights are in planes.",
        show_default=False,
    ),
]
PixelSize = Annotated[
    float | None,
    typer.Option(
        "--pixel-size-um",
        metavar="UM",
        help="Size of a pixel on the specimen in µm, for scale bar and resolution tags.",
        show_default=False,
    ),
]
NoAlign = Annotated[
    bool, typer.Option("--no-align", help="Take the frames as they lie, as from a rigid rig.")
]
WhichReference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        metavar="WHICH",
        help="The frame that all others are aligned to: first, middle, last, or its number "
        "counted from 1. Default: middle; for laplacian first.",
        show_default=False,
    ),
]
MethodName = Annotated[
    Literal["pyramid", "laplacian"],
    typer.Option(
        "--method", help="pyramid gives the best image; laplacian is the classic of older tools."
    ),
]
Quality = Annotated[int, typer.Option("--quality", min=1, max=100, help="Of a .jpg result.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print warnings and errors only.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object about the result.")]


def stack(
    frames: Frames = None,
    *,
    output: Output = None,
    folder: Folder = None,
    depth: Depth = None,
    z_step_um: ZStep = None,
    pixel_size_um: PixelSize = None,
    no_align: NoAlign = False,
    reference: WhichReference = None,
    method: MethodName = "pyramid",
    quality: Quality = 95,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Fuse the images of one z-stack into a single one that is sharp all over.

    A frame that cannot be aligned is left out and named. Inputs are never overwritten, and a
    result appears whole or not at all.
    """
    if output is None:
        raise typer.BadParameter("name the result with -o, such as -o stack.png")
    from zstackd import stack_job  # noqa: PLC0415 - numpy and cv2 cost start-up
    from zstackd_stacking import StackOptions  # noqa: PLC0415

    stack_job.require_positive("--z-step-um", z_step_um)
    stack_job.require_positive("--pixel-size-um", pixel_size_um)
    paths = stack_job.gather(frames or [], folder)
    job = stack_job.StackJob(
        frames=paths,
        output=output,
        depth=tuple(depth or ()),
        options=StackOptions(method=method, align=not no_align, depth=bool(depth)),
        reference=stack_job.reference_from(reference, len(paths)),
        z_step_um=z_step_um,
        pixel_size_um=pixel_size_um,
        quality=quality,
    )
    with _progress(len(paths), shown=not (quiet or as_json) and sys.stderr.isatty()) as on_frame:
        done = stack_job.run_job(job, on_frame)
    _warn(done)
    if as_json:
        typer.echo(json.dumps(_as_json(done, z_step_um), ensure_ascii=False, allow_nan=False))
    elif not quiet:
        typer.echo(_summary(done))


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


def _warn(done: "StackDone") -> None:
    for frame in done.report.frames:
        if frame.note:
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
