"""A plan is judged before anything moves: every plane, and the run-up before it, is in reach."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.daemon.conftest import rig_in

from zstackd.runs.plan import Plan, plan_run, sweep_fault
from zstackd_config.errors import InputError
from zstackd_config.load import parse_run
from zstackd_config.rig import Rig
from zstackd_drivers.camera import CameraInfo

BEYOND = "beyond the limits 0 to 100 µm"


@pytest.fixture
def up(tmp_path: Path) -> Rig:
    """A rig that reaches from 0 to 100 µm, with run-ups of 1.25 µm."""
    return rig_in(tmp_path)


@pytest.fixture
def down(up: Rig) -> Rig:
    return up.model_copy(update={"focus": up.focus.model_copy(update={"approach": "down"})})


def planned(rig: Rig, planes_um: list[float], *, relative: bool = False, **facts: Any) -> Plan:
    about = {"name": "x", "z_plan": {"relative" if relative else "absolute": planes_um}}
    camera, reference_um = facts.pop("camera", None), facts.pop("reference_um", None)
    run = parse_run(yaml.safe_dump({**about, **facts}), name="x")
    return plan_run(rig, run, source="x", camera=camera, reference_um=reference_um)


@pytest.mark.parametrize(
    "planes_um", [[1.25, 100.0], [100.0, 1.25], [1.25, 2.0, 1.25], [50.0, 1.25]]
)
def test_planes_that_can_be_approached_from_below(up: Rig, planes_um: list[float]) -> None:
    assert planned(up, planes_um).planes_um == tuple(planes_um)


@pytest.mark.parametrize(
    ("planes_um", "plane"),
    [([1.2, 50.0], 0), ([50.0, 1.2], 1), ([50.0, 100.1], 1), ([50.0, 60.0, 1.2], 2)],
)
def test_planes_that_cannot(up: Rig, planes_um: list[float], plane: int) -> None:
    with pytest.raises(InputError, match=rf"plane {plane} of .*{BEYOND}"):
        planned(up, planes_um)


@pytest.mark.parametrize("planes_um", [[98.75, 0.0], [0.0, 98.75]])
def test_planes_that_can_be_approached_from_above(down: Rig, planes_um: list[float]) -> None:
    assert planned(down, planes_um).planes_um == tuple(planes_um)


@pytest.mark.parametrize(
    ("planes_um", "plane"), [([98.8, 50.0], 0), ([50.0, 98.8], 1), ([50.0, -0.1], 1)]
)
def test_planes_that_cannot_from_above(down: Rig, planes_um: list[float], plane: int) -> None:
    with pytest.raises(InputError, match=rf"plane {plane} of .*{BEYOND}"):
        planned(down, planes_um)


def test_relative_planes_are_judged_once_it_is_known_where_they_start(up: Rig) -> None:
    assert planned(up, [0.0, 5.0], relative=True).from_current
    assert planned(up, [0.0, 5.0], relative=True, reference_um=95.0).planes_um == (95.0, 100.0)
    with pytest.raises(InputError, match=BEYOND):
        planned(up, [0.0, 5.0], relative=True, reference_um=96.0)
    with pytest.raises(InputError, match=r"stands, at 96 µm: give z_reference_um a height, or sub"):
        planned(up, [0.0, 5.0], relative=True, reference_um=96.0)


def test_a_search_for_the_focus_is_judged_with_the_plan(up: Rig) -> None:
    with pytest.raises(InputError, match=rf"autofocus\.range_um: .*{BEYOND}"):
        planned(
            up,
            [0.0, 1.0],
            relative=True,
            z_reference_um="autofocus",
            autofocus={"range_um": [50.0, 101.0]},
        )


def test_both_ends_of_a_sweep_need_their_run_ups(up: Rig, down: Rig) -> None:
    assert sweep_fault((1.25, 100.0), up.focus) is None
    assert sweep_fault((0.0, 98.75), down.focus) is None
    for ends_um, focus, end in (
        ((1.2, 90.0), up.focus, 0),
        ((1.25, 100.1), up.focus, 1),
        ((10.0, 98.8), down.focus, 1),
    ):
        fault = sweep_fault(ends_um, focus)
        assert fault is not None
        assert fault[0] == end


def test_the_frames_still_to_come_need_room(up: Rig) -> None:
    plan = planned(up, [10.0, 11.0, 12.0, 13.0])
    assert [plan.bytes_from(index) for index in (0, 3, 4)] == [
        4 * plan.frame_bytes,
        plan.frame_bytes,
        0,
    ]
    assert plan.disk_bytes == 4 * plan.frame_bytes + plan.result_bytes


def test_frames_of_more_than_8_bits_take_twice_the_room(up: Rig) -> None:
    cameras = [
        CameraInfo(driver="x", model="x", size_px=(640, 480), channels=1, bits=bits)
        for bits in (8, 12)
    ]
    few, many = (planned(up, [10.0], camera=camera).frame_bytes for camera in cameras)
    assert many == 2 * few


@pytest.mark.parametrize(
    ("planes_um", "step_um", "warned"),
    [
        ([10.0, 10.1, 10.2], 0.25, True),
        ([10.0, 10.25, 10.5], 0.25, False),
        ([10.2, 10.0, 10.2], 0.25, True),
        ([10.0, 10.25, 10.0], 0.25, False),
        ([10.3, 10.1 + 0.2, 11.3], 0.25, False),
        ([10.0, 10.1], None, False),
        ([10.0], 0.25, False),
    ],
)
def test_planes_closer_than_motor_steps_are_warned_of(
    up: Rig, planes_um: list[float], step_um: float | None, warned: bool
) -> None:
    run = parse_run(yaml.safe_dump({"name": "x", "z_plan": {"absolute": planes_um}}), name="x")
    warnings = plan_run(up, run, source="x", step_um=step_um).warnings
    said = (
        f"z_plan: planes lie {abs(planes_um[1] - planes_um[0]):.3g} µm apart, but a motor step is "
        "0.25 µm: some are taken at the same height; give a step of 0.25 µm or more"
        if warned
        else None
    )
    assert warnings == ((said,) if said else ())


@pytest.mark.parametrize(
    ("z_plan", "beyond"),
    [
        ({"bottom": 10, "top": 70, "step": 7}, "3 µm above the range, as step 7 µm does not "),
        ({"bottom": 10, "top": 70, "step": 6}, None),
        ({"bottom": 10, "top": 69, "step": 7}, None),  # short of it, by less than half a step
        ({"range": 60, "step": 7}, "3 µm above the range"),
        ({"above": 20, "below": 40, "step": 7}, "3 µm above the range"),
        ({"bottom": 10, "top": 70, "step": 0.1}, None),
        ({"bottom": 10, "top": 70, "step": "auto"}, None),
        ({"absolute": [10, 20.5]}, None),
    ],
)
def test_a_highest_plane_beyond_the_range_is_told(up: Rig, z_plan: Any, beyond: str) -> None:
    relative = {} if {"top", "absolute"} & set(z_plan) else {"z_reference_um": 50}
    run = parse_run(yaml.safe_dump({"name": "x", "z_plan": z_plan, **relative}), name="x")
    said = [each for each in plan_run(up, run, source="x").warnings if "above the range" in each]
    assert len(said) == (beyond is not None)
    assert all(beyond in each and each.endswith("give step 6.6667, or auto") for each in said)


@pytest.mark.parametrize(
    ("z_plan", "is_told"),
    [
        ({"bottom": 10, "top": 70, "step": 130}, True),
        ({"range": 60, "step": 130}, True),
        ({"bottom": 10, "top": 10, "step": 5}, False),
        ({"absolute": [10]}, False),
    ],
)
def test_a_range_of_which_a_single_plane_is_left_is_told(
    up: Rig, z_plan: Any, is_told: bool
) -> None:
    relative = {"z_reference_um": 50} if "range" in z_plan else {}
    run = parse_run(yaml.safe_dump({"name": "x", "z_plan": z_plan, **relative}), name="x")
    said = plan_run(up, run, source="x").warnings
    assert len(said) == is_told
    assert all("a single plane" in each and "60 µm" in each for each in said)
    assert all(each.endswith("give step auto") for each in said)
