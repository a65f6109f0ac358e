"""Which stacks the costs are measured on, and the measuring of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cases import CASES, Case
from bench.costs import Footprint, Live, Race, every, footprint, live, race, resized
from bench.peers import Tool, offers_low_memory
from bench.render import folder_of
from bench.truth import Truth


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured. `planes`: numbers of planes, the last is that of the long stack."""

    repeats: int
    planes: tuple[int, ...]


FULL = Extent(repeats=3, planes=(10, 50, 100, 200))
QUICK = Extent(repeats=1, planes=(10, 20, 40))


def races_wanted() -> dict[str, Case]:
    """The two stacks that are timed beside the peers; both move and need alignment."""
    size = (2048, 1536)
    return {
        "7 × 3.1 MP": CASES["board"].of_size(size, 7),
        "20 × 3.1 MP": CASES["breathing"].of_size(size, 20),
    }


def long_stack(extent: Extent) -> Case:
    """The stack whose planes are counted off."""
    return CASES["relief"].of_size((2048, 1536), extent.planes[-1])


def all_cases(extent: Extent) -> list[Case]:
    """What has to be rendered."""
    return [*races_wanted().values(), long_stack(extent)]


def run_races(tools: Sequence[Tool], root: Path, work: Path, extent: Extent) -> list[Race]:
    """Each tool on each stack, interleaved."""
    return [
        race(name, tools, Truth(folder_of(case, root)).frames, work, repeats=extent.repeats,
             still=False)
        for name, case in races_wanted().items()
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Growth:
    """Runs of zstackd on growing stacks. `low` is None where the program has no such setting."""

    planes: list[Footprint]
    pixels: list[Footprint]
    heights: list[Footprint]
    low: Footprint | None
    live: Live


def run_growth(root: Path, work: Path, extent: Extent) -> Growth:
    """From few planes to many, from 1 to 12 megapixels, with height map and with little memory."""
    long = Truth(folder_of(long_stack(extent), root)).frames
    often = extent.repeats
    by_planes = [
        footprint(f"{count} planes", every(long, count), work, repeats=often if count < 50 else 1)
        for count in extent.planes
    ]
    ten = every(long, 10)
    name = folder_of(long_stack(extent), root).name
    tiny = resized(ten, root / f"tiny_{name}", tiles=1 / 16)
    small = resized(ten, root / f"small_{name}", tiles=1 / 3)
    large = resized(ten, root / f"large_{name}", tiles=4)
    by_pixels = [
        footprint("0.2 MP", tiny, work, repeats=often),
        footprint("1 MP", small, work, repeats=often),
        by_planes[0],
        footprint("12 MP", large, work, repeats=often),
    ]
    heights = [
        footprint(f"{count} planes, height map", every(long, count), work, repeats=1, depth=True)
        for count in (extent.planes[0], extent.planes[-1])
    ]
    low = None
    if offers_low_memory():
        words = ("--memory", "low")
        low = footprint("12 MP, memory low", large, work, repeats=1, options=words)
    return Growth(by_planes, by_pixels, heights, low, live(every(long, 20), work))
