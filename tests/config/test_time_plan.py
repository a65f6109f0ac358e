"""Time-plans of useq-schema: its keys checked, its times bounded."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from zstackd_config.load import parse_run

if TYPE_CHECKING:
    from tests.config.conftest import Problem

RUN = "name: a\nz_plan: {bottom: 0, top: 10, step: 1}\n"
"""A valid run; what is appended stands in its line 3."""


def seconds(plan: str) -> list[float]:
    time_plan = parse_run(f"{RUN}time_plan: {plan}\n", name="r").time_plan
    assert time_plan is not None
    return [delta / timedelta(seconds=1) for delta in islice(time_plan.deltas(), 20)]


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("{interval: 10, loops: 3}", [0, 10, 20]),
        ("{interval: 0:01:30, loops: 2}", [0, 90]),
        ("{interval: {minutes: 1, seconds: 30}, loops: 2}", [0, 90]),
        ("{interval: PT1M30S, loops: 2}", [0, 90]),
        ("{interval: 10, duration: 25}", [0, 10, 20]),
        ("{duration: 30, loops: 4}", [0, 10, 20, 30]),
        ("[{interval: 1, loops: 3}, {interval: 10, loops: 2}]", [0, 1, 2, 12]),
        ("{phases: [{interval: 1, loops: 3}, {interval: 10, loops: 2}]}", [0, 1, 2, 12]),
    ],
)
def test_times_follow_the_plan(plan: str, expected: list[float]) -> None:
    assert seconds(plan) == expected


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("{}", "r.yaml:3:12: time_plan: not a time-plan; give interval and loops"),
        ("{interval: 5}", "time_plan.loops: missing; add it: How many runs."),
        ("{interval: 5, lops: 5, loops: 2}", "time_plan.lops: unknown key; did you mean 'loops'?"),
        ("{interval: 1:30, loops: 2}", "interval: '1:30': not a time-span; write seconds, h:mm:ss"),
        ("{interval: P, loops: 2}", "interval: 'P' is not a time-span; write seconds"),
        ("{interval: {minuts: 5}, loops: 2}", "unknown key 'minuts'; did you mean 'minutes'?"),
        ("{interval: {minutes: x}, loops: 2}", "days, hours, minutes and seconds must be numbers"),
        ("{interval: {days: 1e12}, loops: 2}", "too long; write at most 3660 days"),
        ("{interval: 0, loops: 2}", "interval: 0 s: out of bounds; it must be from 0.001 s"),
        ("{interval: true, loops: 2}", "interval: true is a switch; write a number"),
        ("{interval: 1e300, loops: 2}", "is not a time-span"),
        ("{interval: 5, loops: 0}", "loops: 0 is out of bounds; it must be at least 1"),
        ("{duration: 5, loops: 1}", "loops: 1 is out of bounds; it must be at least 2"),
        ("{interval: 5, duration: 9, loops: 3}", "time_plan.duration: unknown key"),
        ("[{interval: 5}]", "r.yaml:3:13: time_plan[0].loops: missing"),
        ("[]", "a list of 0 is too short; at least 1"),
        (
            "{interval: 5, loops: 2, prioritize_duration: true}",
            "zstackd keeps to the times of the plan anyway; remove this key",
        ),
    ],
)
def test_wrong_plans_say_what_and_what_to_do(plan: str, said: str, problem: Problem) -> None:
    assert said in problem(f"{RUN}time_plan: {plan}")
