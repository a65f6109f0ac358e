"""What a person in front of a terminal sees of a run."""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

from zstackd.runs.manifest import Manifest
from zstackd.runs.progress import Stage
from zstackd.runs.task import Published

_WORDS: Final[dict[Stage, str]] = {
    "capture": "capturing planes",
    "stack": "stacking planes",
    "publish": "writing the result",
}
_LINES_PER_STAGE: Final = 4
_BAR_WIDTH: Final = 40
_WIDTH_WITH_TIME: Final = 45


class ProgressBars:
    """One bar for each stage, on a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            *_columns(console),
            console=console,
        )
        self._lock = threading.Lock()
        self._tasks: dict[Stage, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        """Show `done` of `total` on the stage's bar."""
        with self._lock:
            if stage not in self._tasks:
                self._tasks[stage] = self._progress.add_task(_WORDS[stage], total=total)
            self._progress.update(self._tasks[stage], completed=done)


def _columns(console: Console) -> Iterator[ProgressColumn]:
    """What stands in a line of the bars. Where it is short, the bar is, and never the counter."""
    yield TextColumn("{task.description}")
    yield BarColumn(bar_width=None, table_column=Column(max_width=_BAR_WIDTH))
    yield MofNCompleteColumn(table_column=Column(no_wrap=True))
    if console.width >= _WIDTH_WITH_TIME:
        yield TimeElapsedColumn(table_column=Column(no_wrap=True))


class ProgressLines:
    """A few plain lines for each stage, where nobody watches a terminal."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sys.stderr.flush()

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        """Print a line at every quarter of a stage."""
        quarters = _LINES_PER_STAGE * done // total, _LINES_PER_STAGE * (done - 1) // total
        if done and quarters[0] != quarters[1]:
            sys.stderr.write(f"{_WORDS[stage]}: {done} of {total}\n")


def summary(published: Published) -> str:
    """Return what was made, and which files to look at, in a few lines."""
    manifest = published.manifest
    timing = manifest.timing
    lines = [
        f"{manifest.name}: {_planes(manifest)} in {timing.wall_s / timing.time_scale:.1f} s",
        *(f"left out: plane {frame.plane}: {frame.note}"
          for frame in manifest.frames if not frame.used),
        *(f"warning: {warning}" for warning in manifest.warnings),
        "Look at:",
        *(f"  {short(published.folder / name)}  {what}" for name, what in _files(manifest)),
    ]  # fmt: skip
    return "\n".join(lines)


def _planes(manifest: Manifest) -> str:
    heights = [frame.commanded_um for frame in manifest.frames]
    if len(heights) == 1:
        return f"1 plane at {heights[0]:zg} µm"
    return f"{len(heights)} planes from {min(heights):zg} to {max(heights):zg} µm"


def _files(manifest: Manifest) -> list[tuple[str, str]]:
    words = {
        "image": "the fused image",
        "depth_picture": "the height map as a picture",
        "depth": "the height map in µm (32-bit float)",
        "preview": "a small copy of the image",
        "confidence": "how sure each height is, 0 to 1 (32-bit float)",
        "relief": "the height map as a lit surface",
        "mesh": "the height map as a coloured mesh in µm",
        "focus_curve": "how sharp each plane is",
    }
    listed = [(file.name, words[file.role]) for file in manifest.files]
    entries = [*listed, ("manifest.json", "every frame, setting, size and SHA-256")]
    width = max(len(name) for name, _ in entries)
    return [(name.ljust(width), what) for name, what in entries]


def short(path: Path) -> str:
    """Return the path relative to the working folder where that is shorter."""
    relative = os.path.relpath(path)
    return min(relative, str(path), key=len)
