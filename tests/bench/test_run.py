"""Tools, stacks to be timed, and the report."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from bench.costs import decode, every, linked, median, resized
from bench.oracle import BestChoice
from bench.peers import pointed
from bench.process import Cost, ToolError
from bench.report import Results, compact, grid, markdown
from bench.truth import Truth
from bench.verdict import Check, Table

from bench import __main__ as program
from bench import quality

COPY = "import shutil, sys; shutil.copyfile(sys.argv[1] + '/frame_004.jpg', sys.argv[2])"


def test_a_tool_that_the_user_points_to_runs_with_its_words_filled_in(
    beads: Truth, work: Path
) -> None:
    tool = pointed(f'copy={sys.executable} -c "{COPY}" {{folder}} {{out}}')
    made = quality.outcome(tool, beads, work, fresh=False)
    assert made.error == ""
    assert made.tool == "copy"
    assert made.scores is not None
    assert 15 < made.scores.psnr_db < 45
    assert made.cost is not None
    assert made.cost.wall_s > 0


def test_an_outcome_is_kept_until_it_is_wanted_fresh(beads: Truth, work: Path) -> None:
    tool = pointed(f'copy={sys.executable} -c "{COPY}" {{folder}} {{out}}')
    first = quality.outcome(tool, beads, work, fresh=False)
    assert quality.outcome(tool, beads, work, fresh=False) == first
    again = quality.outcome(tool, beads, work, fresh=True)
    assert again.scores == first.scores
    assert again.cost != first.cost


def test_a_tool_that_fails_is_told_and_does_not_end_the_run(beads: Truth, work: Path) -> None:
    tool = pointed(f"broken={sys.executable} -c 'import sys; sys.exit(\"no memory\")' {{out}}")
    made = quality.outcome(tool, beads, work, fresh=False)
    assert made.scores is None
    assert "no memory" in made.error


@pytest.mark.parametrize("text", ["focus-stack", "=run {out}", "name=run {frames}"])
def test_an_unusable_peer_is_an_error_with_the_reason(text: str) -> None:
    with pytest.raises(ToolError, match="must be NAME=COMMAND"):
        pointed(text)


def test_the_best_choice_is_better_than_any_single_frame(beads: Truth, work: Path) -> None:
    best = quality.outcome(BestChoice(), beads, work, fresh=False)
    tool = pointed(f'copy={sys.executable} -c "{COPY}" {{folder}} {{out}}')
    single = quality.outcome(tool, beads, work, fresh=False)
    assert best.scores is not None
    assert single.scores is not None
    assert best.scores.psnr_db > single.scores.psnr_db + 2


def test_stacks_to_be_timed(beads: Truth, work: Path) -> None:
    assert every(beads.frames, 3) == [beads.frames[index] for index in (0, 6, 13)]
    links = linked(beads.frames[:2], work / "links")
    assert [link.resolve() for link in links] == [path.resolve() for path in beads.frames[:2]]
    assert decode(links, work).cpu_s > 0
    for tiles in (1 / 4, 4.0):
        made = resized(beads.frames[:1], work / f"{tiles}", tiles=tiles)
        image = cv2.imread(str(made[0]), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        assert image.size == beads.size_px[0] * beads.size_px[1] * tiles


def test_medians_are_taken_figure_by_figure() -> None:
    costs = [Cost(1, 9, 5), Cost(3, 7, 4), Cost(2, 8, 6)]
    assert median(costs) == Cost(2, 8, 5)


def test_a_table_reads_well_as_text() -> None:
    assert grid(["a", "long head"], [["1", "2"]]).splitlines() == [
        "| a   | long head |",
        "|-----|-----------|",
        "| 1   | 2         |",
    ]


def test_the_report_names_what_was_missed(beads: Truth, work: Path) -> None:
    outcome = quality.outcome(BestChoice(), beads, work, fresh=False)
    results = Results(Table([outcome], []), checks=[
        Check("speed", "9 s", "≤ 3 s", passed=False), Check("colour", "0.1", "< 1", passed=True)
    ])  # fmt: skip
    assert "**fail**" in markdown(results)
    short = compact(results)
    assert "1 of 2 bounds are kept" in short
    assert "speed" in short
    assert "colour" not in short
    assert f"{np.round(outcome.scores.psnr_db, 2) if outcome.scores else None}" in short


def test_an_unknown_tool_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.peers.set_up", list)
    assert program.main(["--only", "nobody"]) == 2
    assert "--only nobody: not among zstackd" in capsys.readouterr().err
