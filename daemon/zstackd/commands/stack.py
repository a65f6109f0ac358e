"""`zstackd stack`: image files become one sharp image, and all that can be known of its heights."""

import json
import logging
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zstackd.stack_command.options import read_words, stack_parser
from zstackd.terminal.amounts import size_text
from zstackd.terminal.guarding import errors_in_one_line
from zstackd_config.lines import one_line

if TYPE_CHECKING:  # they cost start-up, which `--help` and usage errors do without
    from zstackd.stack_command.job import OnFrame, StackDone, StackJob
    from zstackd_stacking import FrameReport


def stack(words: Sequence[str]) -> int:
    """Run the command with the words that follow its name; returns the exit status.

    Raises:
        InputError: an option, a frame or an output cannot be used.
    """
    with errors_in_one_line():
        return _stack(read_words(words))


def _stack(wanted: Namespace) -> int:
    if wanted.quiet:
        logging.getLogger("zstackd.stack_command").setLevel(logging.WARNING)
    from zstackd.stack_command.request import job_from, pattern_from  # noqa: PLC0415 - start-up

    if wanted.batch is not None:
        return _stack_batch(wanted, pattern_from(wanted))
    done = _stack_one(wanted, job_from(wanted))
    _warn(done, notes=not wanted.quiet)
    _warn_of_results_among_frames(done, wanted.input)
    if wanted.json:
        _print_json(done.as_json())
    elif not wanted.quiet:
        _say(_summary(done))
    return 0


def as_typed() -> Callable[..., None]:
    """Return what stands for the command where a shell completes its options."""
    from zstackd.terminal.stood_in import stand_in  # noqa: PLC0415 - start-up

    return stand_in(stack_parser())


def _stack_one(wanted: Namespace, job: "StackJob") -> "StackDone":
    from zstackd.stack_command.job import run_job  # noqa: PLC0415 - start-up
    from zstackd_stacking.methods.catalogue import passes  # noqa: PLC0415

    terminal = sys.stderr.isatty() and not (wanted.quiet or wanted.json)
    looks = len(job.frames) * passes(job.options.method)
    with _progress(looks, shown=terminal) as on_frame:
        return run_job(job, on_frame)


def _stack_batch(wanted: Namespace, pattern: "StackJob") -> int:
    from zstackd.stack_command.batch import run_batch  # noqa: PLC0415 - start-up

    told: list[dict[str, Any]] = []
    failed: list[str] = []
    for outcome in run_batch(wanted.batch, pattern, lambda job: _stack_one(wanted, job)):
        said: dict[str, Any] = {"folder": str(outcome.source.path), "error": outcome.error}
        if outcome.done is None:
            failed.append(outcome.source.name)
            _tell(f"{outcome.source.name}: failed: {outcome.error}")
        else:
            said |= outcome.done.as_json()
            _warn(outcome.done, notes=not wanted.quiet, of=f"{outcome.source.name}: ")
            if not (wanted.quiet or wanted.json):
                _say(f"{outcome.source.name}: {_summary(outcome.done)}")
                sys.stdout.flush()
        told.append(said)
    if wanted.json:
        _print_json({"stacks": told, "failed": failed})
    elif failed or not wanted.quiet:
        names = f"; failed: {', '.join(failed)}" if failed else ""
        (_tell if failed else _say)(
            f"{len(told) - len(failed)} of {len(told)} stacks written{names}"
        )
    return 1 if failed else 0


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator["OnFrame | None"]:
    if not shown:
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - costs start-up, wanted on a terminal only
    from rich.progress import Progress  # noqa: PLC0415

    # Told so, it asks no more: while decoders are listened to, the answer would be another one.
    console = Console(stderr=True, force_terminal=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("stacking", total=total)

        def advance(_report: "FrameReport") -> None:
            progress.advance(task)

        yield advance


def _warn(done: "StackDone", *, notes: bool, of: str = "") -> None:
    """Print what a person should know of a stack; each line begins with `of`."""
    for frame in done.report["frames"]:
        if frame["note"] and (notes or not frame["used"]):
            _tell(f"{of}{frame['name']}: {frame['note']}")
    for found in done.report["cut_off"]:
        _tell(f"{of}warning: {found['message']}")
    if len(done.report["frames"]) == 1:
        _tell(f"{of}warning: only one frame: nothing to fuse, it is written as it is")


def _warn_of_results_among_frames(done: "StackDone", folder: Path | None) -> None:
    from zstackd_stacking.files.frames import looks_like_a_frame  # noqa: PLC0415 - start-up

    for file in done.files:
        inside = folder is not None and file.path.parent.resolve() == folder.resolve()
        if inside and looks_like_a_frame(file.path):
            _tell(
                f"{file.path}: warning: lies among the frames now, and -i {folder} would take it "
                "for one of them the next time; move it elsewhere"
            )


def _summary(done: "StackDone") -> str:
    width, height = done.size_px
    names = ", ".join(f"{file.path} ({size_text(file.size_bytes)})" for file in done.files)
    used = sum(frame["used"] for frame in done.report["frames"])
    seconds = done.stacking_s + done.writing_s
    frames = "1 frame" if used == 1 else f"{used} frames"
    return f"{frames} of {width} × {height} px in {seconds:.1f} s: wrote {names}"


def _say(line: str) -> None:
    sys.stdout.write(f"{one_line(line)}\n")


def _tell(line: str) -> None:
    sys.stderr.write(f"{one_line(line)}\n")


def _print_json(content: dict[str, Any]) -> None:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(f"{text}\n")
