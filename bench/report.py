"""The figures as Markdown: every table of a run, and a short form to print."""

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.costs import Footprint, Live, Race
from bench.metrics import DepthScores, Scores
from bench.oracle import BestChoice
from bench.process import Cost
from bench.quality import Outcome
from bench.verdict import OURS, Check, Table


@dataclass
class Results:
    """All that a run measured."""

    table: Table
    races: list[Race] = field(default_factory=list)
    planes: list[Footprint] = field(default_factory=list)
    pixels: list[Footprint] = field(default_factory=list)
    memory: list[Footprint] = field(default_factory=list)
    live: Live | None = None
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def markdown(results: Results) -> str:
    """The whole report."""
    parts = [
        "# zstackd benchmark",
        _machine(),
        *results.notes,
        "## Picture",
        _quality(results.table),
        "## Height and alignment",
        _heights(results.table),
    ]
    if results.races:
        parts += ["## Cost beside the peers", _races(results.races)]
    if results.planes or results.pixels or results.memory:
        parts += ["## Growth and memory", _footprints(results)]
    if results.live is not None:
        parts += ["## Live", _live(results.live)]
    return "\n\n".join([*parts, "## Bounds", verdicts(results.checks)]) + "\n"


def compact(results: Results) -> str:
    """Mean figures, and the bounds that were missed."""
    bounds = [check for check in results.checks if not check.aim]
    missed = [check for check in bounds if not check.passed]
    kept = f"{len(bounds) - len(missed)} of {len(bounds)} bounds are kept."
    lines = [_means(results.table), kept] if results.table.outcomes else [kept]
    if missed:
        lines.append("Missed:\n\n" + verdicts(missed))
    return "\n\n".join(lines)


def verdicts(checks: Iterable[Check]) -> str:
    """A row for each bound."""
    rows = [[check.what, check.figure, check.bound, check.verdict] for check in checks]
    return grid(["what", "measured", "bound", ""], rows)


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its columns padded so that it reads well as text."""
    cells = [list(head), *map(list, rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(head))]
    lines = [
        "| " + " | ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _machine() -> str:
    tools = []
    for name in ("zstackd", "numpy", "opencv-python-headless"):
        try:
            tools.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            tools.append(f"{name} (not installed)")
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}, {', '.join(tools)}."
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8", "replace").splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    return platform.machine()


def _tools(table: Table) -> list[str]:
    return list(dict.fromkeys(one.tool for one in table.outcomes))


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _of(part: Scores | DepthScores | Cost | None, name: str, digits: int) -> str:
    return _number(None if part is None else getattr(part, name), digits)


Figure = Callable[[Outcome], str]
_FIGURES: dict[str, Figure] = {
    "PSNR, dB": lambda one: _of(one.scores, "psnr_db", 2),
    "SSIM": lambda one: _of(one.scores, "ssim", 4),
    "ring error, levels": lambda one: _of(one.scores, "ring", 2),
    "chroma error, levels": lambda one: _of(one.scores, "chroma", 2),
    "noise in flat places, levels": lambda one: _of(one.scores, "flat", 2),
    "CPU, s": lambda one: _of(one.cost, "cpu_s", 1),
    "peak memory, MB": lambda one: _of(one.cost, "peak_mb", 0),
}


def _quality(table: Table) -> str:
    tools = _tools(table)
    parts = [_means(table)]
    for name, figure in _FIGURES.items():
        rows = []
        for case in table.cases:
            found = [table.of(tool, case) for tool in tools]
            cells = ["–" if one is None else figure(one) for one in found]
            if any(cell != "–" for cell in cells):
                rows.append([case, *cells])
        if rows:
            parts.append(f"### {name}\n\n" + grid(["case", *tools], rows))
    failed = [f"- {o.tool} failed on {o.case}: {o.error}" for o in table.outcomes if o.error]
    return "\n\n".join([*parts, *(["\n".join(failed)] if failed else [])])


def _means(table: Table) -> str:
    rows = []
    for tool in _tools(table):
        got = [s for case in table.cases if (s := table.scores(tool, case))]
        if not got:
            continue
        cost = [o.cost.cpu_s for o in table.outcomes if o.tool == tool and o.cost]
        rows.append([
            tool if tool != BestChoice().name else f"({tool}: no competitor)",
            f"{len(got)}",
            _number(sum(s.psnr_db for s in got) / len(got), 2),
            _number(sum(s.ssim for s in got) / len(got), 4),
            _number(table.mean_ring(tool), 2),
            _number(sum(s.chroma for s in got) / len(got), 2),
            _number(sum(cost) / len(cost), 1) if cost else "–",
        ])  # fmt: skip
    head = ["mean of cases", "cases", "PSNR, dB", "SSIM", "ring", "chroma", "CPU, s"]
    return grid(head, rows)


def _heights(table: Table) -> str:
    rows = [
        [
            one.case,
            _of(one.depth, "median", 3),
            _of(one.depth, "rmse", 2),
            _of(one.depth, "everywhere_rmse", 2),
            _of(one.depth, "sure_rmse", 2),
            _of(one.depth, "sure", 2),
            _number(one.align_px, 3),
            str(one.left_out),
        ]
        for one in table.outcomes
        if one.tool == OURS
    ]
    head = [
        "case",
        "median",
        "RMSE",
        "RMSE, all",
        "RMSE, sure",
        "share sure",
        "alignment",
        "left out",
    ]
    return (
        "Heights in planes: median of the absolute error and RMSE on textured ground clear of "
        "objects, then RMSE of the whole field and of what the confidence map calls sure. "
        "Alignment in px, RMS over field and frames; good frames left out.\n\n" + grid(head, rows)
    )


def _races(races: Iterable[Race]) -> str:
    rows = []
    for one in races:
        ours = one.costs[OURS]
        entries = [*one.costs.items(), ("decoding alone", one.decode)]
        for name, cost in entries:
            rows.append([
                one.stack, name, _number(cost.cpu_s, 2), _number(cost.wall_s, 2),
                _number(cost.peak_mb, 0), f"{cost.cpu_s / ours.cpu_s:.2f} ×",
            ])  # fmt: skip
    head = ["stack", "tool", "CPU, s", "wall, s", "peak, MB", "CPU against zstackd"]
    return f"Medians of {max(one.repeats for one in races)} interleaved runs.\n\n" + grid(
        head, rows
    )


def _footprints(results: Results) -> str:
    seen: dict[str, Footprint] = {}
    for run in [*results.planes, *results.pixels, *results.memory]:
        seen.setdefault(run.stack, run)
    rows = [
        [
            run.stack, str(run.planes), f"{run.megapixels:.2f}", _number(run.cost.cpu_s, 2),
            _number(run.cost.wall_s, 2), _number(run.cost.peak_mb, 0), _number(run.bytes_per_px, 0),
        ]
        for run in seen.values()
    ]  # fmt: skip
    head = ["stack", "planes", "MP", "CPU, s", "wall, s", "peak, MB", "bytes per px above idle"]
    return grid(head, rows)


def _live(live: Live) -> str:
    rows = [
        ["one frame (median)", _ms(live.frame_s), _ms(live.height_frame_s)],
        ["finished, after the last frame arrived", _ms(live.finish_s), _ms(live.height_finish_s)],
        ["preview", _ms(live.preview_s), "–"],
    ]
    return grid(["", "image, ms", "image and height map, ms"], rows)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f}"
