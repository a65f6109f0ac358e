"""Planes in micrometres from every z-plan of useq-schema."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zstackd_config.errors import ConfigError
from zstackd_config.load import parse_run
from zstackd_config.run import Run
from zstackd_config.values import height, with_unit


def run(plan: str, extra: str = "") -> Run:
    return parse_run(f"name: a\nz_plan: {plan}\n{extra}", name="r.yaml")


@pytest.mark.parametrize(
    ("plan", "planes_um"),
    [
        ("{bottom: 0, top: 4, step: 2}", (0, 2, 4)),
        ("{bottom: 0, top: 4, step: 2, go_up: false}", (4, 2, 0)),
        ("{bottom: 0, top: 5.2, step: 2}", (0, 2, 4, 6)),
        ("{range: 4, step: 2}", (98, 100, 102)),
        ("{above: 4, below: 2, step: 2}", (98, 100, 102, 104)),
        ("{relative: [-1, 0, 5]}", (99, 100, 105)),
        ("{relative: [-1, 0, 5], go_up: false}", (105, 100, 99)),
        ("{absolute: [7, 3]}", (7, 3)),
    ],
)
def test_planes_follow_the_plan(plan: str, planes_um: tuple[float, ...]) -> None:
    assert run(plan).planes_um(100.0) == planes_um


@pytest.mark.parametrize("plan", ["{absolute: [-0.0]}", "{relative: [-0.0]}"])
def test_no_plane_lies_at_minus_nothing(plan: str) -> None:
    (z_um,) = run(plan).planes_um(-0.0)
    assert str(z_um) == "0.0"


@pytest.mark.parametrize(("z_um", "shown"), [(-0.0, "0.0 µm"), (-0.004, "0.0 µm"), (-5, "-5.0 µm")])
def test_heights_are_shown_without_a_sign_for_nothing(z_um: float, shown: str) -> None:
    assert height(z_um) == shown
    assert with_unit(-0.0, "µm") == "0 µm"


def test_a_given_reference_wins_over_where_the_axis_stands() -> None:
    assert run("{relative: [1]}", "z_reference_um: 50").planes_um(100.0) == (51.0,)


@pytest.mark.parametrize(
    ("plan", "planes_um"),
    [
        ("{bottom: 0, top: 10, step: auto}", (0, 2.5, 5, 7.5, 10)),
        ("{bottom: 0, top: 9, step: auto, go_up: false}", (9, 6, 3, 0)),
        ("{range: 2, step: auto}", (99, 101)),
        ("{range: 2, step: auto, go_up: false}", (101, 99)),
        ("{above: 3, below: 6, step: auto}", (94, 97, 100, 103)),
        ("{above: 3, below: 6, step: auto, go_up: false}", (103, 100, 97, 94)),
        ("{range: 0, step: auto}", (100,)),
    ],
)
def test_an_automatic_step_divides_the_range_evenly(
    plan: str, planes_um: tuple[float, ...]
) -> None:
    assert run(plan).planes_um(100.0, largest_step_um=3.0) == pytest.approx(planes_um)


def test_an_automatic_step_needs_optics() -> None:
    with pytest.raises(ConfigError, match="auto needs a rig's optics"):
        run("{range: 10, step: auto}").planes_um(0.0)


def test_an_automatic_step_makes_no_endless_plan() -> None:
    with pytest.raises(ConfigError, match=r"step auto is 0\.1 µm here: 1000001 planes are too"):
        run("{range: 1e5, step: auto}").planes_um(0.0, largest_step_um=0.1)


@pytest.mark.parametrize(
    "plan",
    [
        "{bottom: 0, top: 4, step: 2}",
        "{bottom: 0, top: 4, step: auto}",
        "{range: 4, step: 2}",
        "{range: 4, step: auto}",
        "{above: 4, below: 2, step: 2}",
        "{above: 4, below: 2, step: auto}",
        "{relative: [-1, 0, 5]}",
        "{absolute: [7, 3]}",
    ],
)
def test_a_run_survives_being_written_and_read(plan: str) -> None:
    extra = "time_plan: [{interval: 5, loops: 2}, {duration: 0:01:00, loops: 3}]"
    before = run(plan, extra)
    assert parse_run(before.model_dump_json(), name="r.yaml") == before


@given(
    bottom=st.floats(-1000, 1000),
    span=st.floats(0, 1000),
    step=st.floats(0.2, 500),
    up=st.booleans(),
)
def test_a_range_is_covered_in_equal_steps(
    bottom: float, span: float, step: float, up: bool
) -> None:
    word = str(up).lower()
    plan = f"{{bottom: {bottom}, top: {bottom + span}, step: {step}, go_up: {word}}}"
    planes = run(plan).planes_um(0.0)
    rising = planes if up else planes[::-1]
    assert rising[0] == pytest.approx(bottom)
    assert rising[-1] > bottom + span - step / 2 - 1e-6
    assert rising[-1] <= bottom + span + step / 2 + 1e-6
    assert [b - a for a, b in pairwise(rising)] == pytest.approx([step] * (len(rising) - 1))
