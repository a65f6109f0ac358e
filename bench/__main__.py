"""`python -m bench`: the whole benchmark, or a part of it for somebody who works on the engine."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from bench import growth, peers, quality, verdict
from bench.cases import CASES
from bench.costs import emptied
from bench.crops import Fused, sheet
from bench.oracle import BestChoice
from bench.peers import Tool
from bench.process import ToolError
from bench.render import folder_of, render_all
from bench.report import Results, compact, markdown
from bench.robust import bad_frames_check, same_bytes_checks, sixteen_bit_checks
from bench.truth import Truth
from bench.verdict import OURS, Table

_OUT = Path(__file__).parent / "out"
_QUICK_CASES = ("relief", "board", "beads", "noise")
_PEERS_VARIABLE = "BENCH_PEERS"


def main(words: Sequence[str] | None = None) -> int:
    """Run it; the exit status: 0 all bounds kept, 1 one falls short, 2 usage."""
    wanted = _parser().parse_args(words)
    try:
        results = _measured(wanted, _tools(wanted))
    except ToolError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    _write(results)
    return int(not all(check.passed or check.aim for check in results.checks))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m bench",
        description="Measures zstackd beside its peers on rendered stacks whose truth is known. "
        "Writes bench/out/report.md and crops.jpg; exit status 1 where a bound is missed.",
        epilog=f"Further peers may also stand in {_PEERS_VARIABLE}, one NAME=COMMAND a line.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="few cases, every run once: under 5 minutes")
    add("--cases", nargs="+", choices=CASES, metavar="NAME",
        help=f"only these cases: {', '.join(CASES)}")  # fmt: skip
    add("--only", metavar="TOOL", help="run this tool only, beside what was kept of the others")
    add("--part", choices=["picture", "cost", "all"], help="measure only this (default: all; "
        "with --only: picture)")  # fmt: skip
    add("--peer", action="append", default=[], metavar="NAME=COMMAND",
        help="a further tool; {frames}, {folder}, {out} in its command are filled in")  # fmt: skip
    add("--fresh", action="store_true", help="run the peers again whatever was kept")
    add("--workers", type=int, default=os.cpu_count() or 1, metavar="N",
        help="processes that render (default: %(default)s)")  # fmt: skip
    return parser


def _tools(wanted: argparse.Namespace) -> list[Tool]:
    """All tools there are, zstackd first and the oracle last."""
    listed = [*wanted.peer, *os.environ.get(_PEERS_VARIABLE, "").splitlines()]
    given = [peers.pointed(text) for text in listed if text.strip()]
    tools: list[Tool] = [peers.Zstackd(), *peers.set_up(), *given, BestChoice()]
    names = [tool.name.lower() for tool in tools]
    if wanted.only and wanted.only.lower() not in names:
        raise ToolError(f"--only {wanted.only}: not among {', '.join(names)}")
    return tools


def _measured(wanted: argparse.Namespace, tools: Sequence[Tool]) -> Results:
    started = time.monotonic()
    part = wanted.part or ("picture" if wanted.only else "all")
    extent = growth.QUICK if wanted.quick else growth.FULL
    names = wanted.cases or (_QUICK_CASES if wanted.quick else list(CASES))
    cases = [CASES[name] for name in names] if part != "cost" else []
    costly = growth.all_cases(extent) if part != "picture" else []
    _OUT.mkdir(exist_ok=True)
    folders = _OUT / "cases"
    render_all([*cases, *costly], folders, wanted.workers)
    truths = [Truth(folder_of(case, folders)) for case in cases]
    results = Results(_quality(wanted, tools, truths))
    if truths:
        results.checks += verdict.quality_checks(results.table, _cleanest(truths))
        _picture(results, tools, truths)
    if costly:
        _add_costs(results, _racers(wanted, tools), folders, extent)
    results.notes.append(f"Measured in {(time.monotonic() - started) / 60:.0f} minutes.")
    return results


def _racers(wanted: argparse.Namespace, tools: Sequence[Tool]) -> list[Tool]:
    """The tools to be timed; zstackd without a height map, which the others do not make."""
    chosen = [peers.Zstackd(depth=False), *tools[1:-1]]
    if wanted.only:
        chosen = [tool for tool in chosen if tool.name.lower() in {OURS, wanted.only.lower()}]
    return chosen


def _quality(wanted: argparse.Namespace, tools: Sequence[Tool], truths: Sequence[Truth]) -> Table:
    if wanted.only:
        fresh = {tool.name for tool in tools if tool.name.lower() == wanted.only.lower()}
    else:
        fresh = {tool.name for tool in tools} if wanted.fresh else {OURS}
    kept_only = frozenset({tool.name for tool in tools} - fresh) if wanted.only else frozenset()
    outcomes = quality.all_outcomes(
        tools, truths, _OUT, fresh=frozenset(fresh), kept_only=kept_only
    )
    competitors = [tool.name for tool in tools if tool.name not in {OURS, BestChoice().name}]
    return Table(outcomes, competitors)


def _cleanest(truths: Sequence[Truth]) -> float | None:
    """Noise of the cleanest single frame of the cases with bare places."""
    found = [noise for truth in truths if (noise := quality.cleanest_frame_noise(truth))]
    return min(found, default=None)


def _add_costs(
    results: Results, racers: Sequence[Tool], folders: Path, extent: growth.Extent
) -> None:
    work = _OUT / "work"
    emptied(work / "scratch")
    print("timing", flush=True)
    results.races = growth.run_races(racers, folders, work, extent)
    results.checks += verdict.race_checks(results.races)
    grown = growth.run_growth(folders, work, extent)
    results.planes, results.pixels, results.live = grown.planes, grown.pixels, grown.live
    results.memory = [*grown.heights, *([grown.low] if grown.low else [])]
    results.checks += verdict.growth_checks(grown.planes, grown.pixels)
    measured = [grown.planes[0], grown.planes[-1], grown.pixels[-1], *grown.heights]
    results.checks += verdict.memory_checks(measured, grown.low, grown.pixels[-1])
    results.checks += verdict.live_checks(grown.live)
    small = Truth(folder_of(growth.races_wanted()["7 × 3.1 MP"], folders)).frames
    stranger = Truth(folder_of(growth.long_stack(extent), folders)).frames[0]
    results.checks.append(bad_frames_check(small, stranger, work))
    results.checks += same_bytes_checks(small, work)
    results.checks += sixteen_bit_checks(small, work)


def _picture(results: Results, tools: Sequence[Tool], truths: Sequence[Truth]) -> None:
    rows = []
    for truth in truths:
        fused = [
            Fused(tool.name, quality.picture_path(quality.work_of(tool, truth, _OUT)))
            for tool in tools
            if results.table.scores(tool.name, truth.name)
        ]
        if fused:
            rows.append(sheet(truth, fused))
    width = max((row.shape[1] for row in rows), default=0)
    padded = [
        cv2.copyMakeBorder(row, 0, 8, 0, width - row.shape[1], cv2.BORDER_CONSTANT,
                           value=(255, 255, 255))
        for row in rows
    ]  # fmt: skip
    if padded:
        cv2.imwrite(str(_OUT / "crops.jpg"), np.vstack(padded), [cv2.IMWRITE_JPEG_QUALITY, 92])


def _write(results: Results) -> None:
    (_OUT / "report.md").write_text(markdown(results), "utf-8")
    print()
    print(compact(results))
    print(f"\nwritten: {_OUT / 'report.md'} and {_OUT / 'crops.jpg'}")


if __name__ == "__main__":
    sys.exit(main())
