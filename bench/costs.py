"""What stacking costs: processor time, wall time, memory; how they grow; how late a live run is."""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from bench.peers import Tool, Zstackd
from bench.process import Cost, ToolError, run

MB = 1e6
_IDLE = "import cv2"
_DECODE = "import sys, cv2\nfor path in sys.argv[1:]:\n    cv2.imread(path, cv2.IMREAD_UNCHANGED)"
_LIVE = Path(__file__).with_name("live.py")


@dataclass(frozen=True, slots=True)
class Race:
    """Costs of each tool on one stack: medians of `repeats` interleaved runs."""

    stack: str
    repeats: int
    costs: Mapping[str, Cost]
    decode: Cost


@dataclass(frozen=True, slots=True)
class Footprint:
    """One run of zstackd; `bytes_per_px` above an idle interpreter with cv2 imported."""

    stack: str
    planes: int
    megapixels: float
    cost: Cost
    bytes_per_px: float


@dataclass(frozen=True, slots=True)
class Live:
    """Seconds: one frame's stacking (median), last frame to finished image, one preview.

    Each is the median of five stacks. `height_frame_s` and `height_finish_s`: the same where a
    height map is made too.
    """

    frame_s: float
    finish_s: float
    preview_s: float
    height_frame_s: float
    height_finish_s: float


def median(costs: Sequence[Cost]) -> Cost:
    """Figure by figure."""
    return Cost(
        statistics.median(cost.cpu_s for cost in costs),
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.peak_mb for cost in costs),
    )


def race(
    stack: str, tools: Sequence[Tool], frames: Sequence[Path], work: Path, *, repeats: int,
    still: bool,
) -> Race:  # fmt: skip
    """Run the tools in turn, `repeats` times over, each writing a JPEG."""
    folder = linked(frames, work / "frames")
    spent: dict[str, list[Cost]] = {tool.name: [] for tool in tools}
    decoding = []
    for _ in range(repeats):
        for tool in tools:
            spent[tool.name].append(_one(tool, folder, work, still=still))
        decoding.append(decode(folder, work))
    return Race(stack, repeats, {name: median(runs) for name, runs in spent.items()},
                median(decoding))  # fmt: skip


def _one(tool: Tool, folder: Sequence[Path], work: Path, *, still: bool) -> Cost:
    scratch = emptied(work / "scratch")
    return tool.fuse(folder, scratch / "fused.jpg", scratch, still=still)


def emptied(folder: Path) -> Path:
    """An empty folder there."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    return folder


def linked(frames: Sequence[Path], folder: Path) -> list[Path]:
    """The frames in a folder of their own, numbered, by links."""
    emptied(folder)
    links = [folder / f"frame_{index:03d}{path.suffix}" for index, path in enumerate(frames)]
    for link, path in zip(links, frames, strict=True):
        link.symlink_to(path.resolve())
    return links


def decode(frames: Sequence[Path], work: Path) -> Cost:
    """A process that does nothing but decode the frames, one after the other."""
    return run([sys.executable, "-c", _DECODE, *frames], work / "log")


def idle(work: Path) -> Cost:
    """An interpreter with cv2 imported."""
    return run([sys.executable, "-c", _IDLE], work / "log")


def footprint(
    stack: str,
    frames: Sequence[Path],
    work: Path,
    *,
    repeats: int,
    depth: bool = False,
    options: tuple[str, ...] = (),
) -> Footprint:
    """Run zstackd `repeats` times on a stack; medians."""
    first = cv2.imread(str(frames[0]), cv2.IMREAD_GRAYSCALE)
    if first is None:
        raise ToolError(f"{frames[0]}: cannot be read")
    base = idle(work)
    tool = Zstackd(depth=depth, options=options)
    cost = median([_one(tool, frames, work, still=False) for _ in range(repeats)])
    above = (cost.peak_mb - base.peak_mb) * MB / first.size
    return Footprint(stack, len(frames), first.size / 1e6, cost, above)


def live(frames: Sequence[Path], work: Path) -> Live:
    """Frames handed to a stacker one by one, in a process of its own."""
    log = work / "live.json"
    run([sys.executable, _LIVE, *frames], log)
    return Live(**json.loads(log.read_text("utf-8")))


def every(frames: Sequence[Path], count: int) -> list[Path]:
    """`count` of the frames, evenly spaced."""
    return [frames[index] for index in np.linspace(0, len(frames) - 1, count).round().astype(int)]


def resized(frames: Sequence[Path], folder: Path, *, tiles: float) -> list[Path]:
    """Frames of `tiles` times the pixels: cut out, or laid out in mirrored tiles."""
    made = [folder / path.name for path in frames]
    if folder.exists():
        return made
    partial = folder.with_name(f".{folder.name}")
    partial.mkdir(parents=True, exist_ok=True)
    for path in frames:
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        if tiles < 1:
            height, width = (round(side * tiles**0.5) for side in image.shape[:2])
            image = image[:height, :width]
        else:
            row = np.hstack([image, image[:, ::-1]])
            image = np.vstack([row, row[::-1]])
        cv2.imwrite(str(partial / path.name), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    partial.rename(folder)
    return made
