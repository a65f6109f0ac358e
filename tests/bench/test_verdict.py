"""Every bound has to be missed by what is just beyond it."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from bench.costs import Footprint, Live, Race
from bench.metrics import DepthScores, Scores
from bench.process import Cost
from bench.quality import Outcome
from bench.verdict import Check, Table

from bench import verdict

PEER = Scores(psnr_db=30.0, ssim=0.95, ring=8.0, chroma=0.5, flat=3.0)
GOOD = Scores(psnr_db=33.1, ssim=0.96, ring=3.9, chroma=0.4, flat=1.0)
COST = Cost(1.0, 1.0, 100.0)


def table(
    ours: Scores | None = GOOD,
    depth: DepthScores = DepthScores(0.1, 0.4, 1.0, 1.0, 1.0),  # noqa: B008 - frozen
    align_px: float = 0.2,
    left_out: int = 0,
) -> Table:
    error = "" if ours else "it failed"
    return Table(
        [
            Outcome("zstackd", "beads", COST, ours, depth, align_px, left_out, error),
            Outcome("FocusWeave", "beads", COST, PEER),
        ],
        ["FocusWeave"],
    )


def missed(checks: Iterable[Check]) -> list[str]:
    return [check.what for check in checks if not check.passed]


def test_all_is_well() -> None:
    checks = list(verdict.quality_checks(table(), 2.0))
    assert missed(checks) == []
    assert len(checks) == 10


@pytest.mark.parametrize(
    ("worse", "word"),
    [
        ({"psnr_db": 32.9}, "mean PSNR"),
        ({"psnr_db": 29.7}, "beads: PSNR"),
        ({"ssim": 0.947}, "beads: SSIM"),
        ({"ring": 4.1}, "ring error"),
        ({"chroma": 1.01}, "chroma"),
        ({"flat": 2.01}, "noise in flat"),
    ],
)
def test_a_worse_picture_is_told(worse: dict[str, float], word: str) -> None:
    found = missed(verdict.quality_checks(table(replace(GOOD, **worse)), 2.0))
    assert any(word in what for what in found)


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (table(None), "end with a picture"),
        (table(left_out=1), "left out"),
        (table(align_px=0.26), "alignment"),
        (table(depth=DepthScores(0.13, 0.4, 1.0, 1.0, 1.0)), "depth"),
        (table(depth=DepthScores(0.1, 0.51, 1.0, 1.0, 1.0)), "depth"),
    ],
)
def test_a_worse_outcome_is_told(made: Table, word: str) -> None:
    assert any(word in what for what in missed(verdict.quality_checks(made, 2.0)))


def test_the_noisy_case_has_no_bound_on_depth() -> None:
    noisy = Outcome("zstackd", "noise", COST, GOOD, DepthScores(9, 9, 9, 1.0, 1.0))
    assert not [
        check for check in verdict.quality_checks(Table([noisy], []), None) if "depth" in check.what
    ]


def race(ours: Cost) -> Race:
    costs = {"zstackd": ours, "FocusWeave": Cost(6.0, 3.0, 900.0)}
    return Race("7", 3, costs, Cost(0.7, 0.7, 50.0))


def test_costs_against_the_peer_and_decoding() -> None:
    assert missed(verdict.race_checks([race(Cost(1.9, 0.9, 100.0))])) == []
    assert len(missed(verdict.race_checks([race(Cost(2.2, 0.9, 100.0))]))) == 2
    assert len(missed(verdict.race_checks([race(Cost(1.9, 1.1, 100.0))]))) == 1


def test_the_ratio_to_decoding_is_an_aim_and_no_bound() -> None:
    slow = race(Cost(3.0, 3.0, 100.0))
    slow = Race(slow.stack, 3, {"zstackd": slow.costs["zstackd"]}, slow.decode)
    (check,) = verdict.race_checks([slow])
    assert check.aim
    assert check.verdict == "aim missed"


def run(planes: int, cpu_s: float, bytes_per_px: float = 50.0) -> Footprint:
    return Footprint(f"{planes} planes", planes, 3.1, Cost(cpu_s, cpu_s, 100.0), bytes_per_px)


def test_time_has_to_grow_linearly() -> None:
    linear = [run(10, 1.0), run(50, 4.0), run(100, 8.0), run(200, 15.5)]
    assert missed(verdict.growth_checks(linear, [])) == []
    slower = list(verdict.growth_checks([*linear[:3], run(200, 18.5)], []))
    assert [(check.passed, check.aim) for check in slower] == [(True, False), (False, True)]
    assert not any(check.passed for check in verdict.growth_checks([*linear[:3], run(200, 21)], []))


def test_memory_per_pixel_and_the_low_setting() -> None:
    assert missed(verdict.memory_checks([run(10, 1)], run(10, 1, 24), run(10, 1, 50))) == []
    assert len(missed(verdict.memory_checks([run(10, 1, 61)], None, None))) == 1
    assert len(missed(verdict.memory_checks([], run(10, 1, 26), run(10, 1, 50)))) == 1


def test_the_live_image_may_not_be_late() -> None:
    assert missed(verdict.live_checks(Live(0.2, 0.29, 0.01, 0.3, 0.9))) == []
    assert len(missed(verdict.live_checks(Live(0.2, 0.31, 0.01, 0.3, 0.4)))) == 1
