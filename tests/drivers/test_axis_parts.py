"""The small parts that every axis is built from."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Literal

import pytest

from zstackd_config.errors import Interrupted
from zstackd_drivers.axis import Reference
from zstackd_drivers.errors import LimitError, LinkError, MotionError
from zstackd_drivers.serial import reconnect
from zstackd_drivers.serial.reconnect import Reconnector
from zstackd_drivers.stepping.approach import StepGrid, check_reach
from zstackd_drivers.stepping.controller import Standing
from zstackd_drivers.stepping.knowledge import Knowledge
from zstackd_drivers.stepping.rest import RestWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(reconnect, "LONGEST_PAUSE_S", 0.004)


class Port:
    """Is lost, and comes back at the n-th attempt."""

    def __init__(self, attempts: int) -> None:
        self.left = attempts
        self.lost = True
        self.back = threading.Event()

    def attempt(self) -> None:
        self.left -= 1
        if self.left > 0:
            raise LinkError("it is not there")
        self.lost = False
        self.back.set()


def test_a_lost_line_is_looked_for_again_and_again(caplog: pytest.LogCaptureFixture) -> None:
    port = Port(attempts=6)
    reconnector = Reconnector(needed=lambda: port.lost, attempt=port.attempt)
    with caplog.at_level(logging.WARNING):
        reconnector.start()
        reconnector.wake()
        assert port.back.wait(60.0)
        reconnector.stop()
    assert port.left == 0
    assert caplog.text.count("not connected yet") == 1


def test_nothing_is_done_where_nothing_is_lost() -> None:
    port = Port(attempts=1)
    port.lost = False
    reconnector = Reconnector(needed=lambda: port.lost, attempt=port.attempt)
    reconnector.start()
    reconnector.wake()
    reconnector.stop()
    assert port.left == 1


def test_a_line_that_never_comes_back_does_not_keep_it_from_ending() -> None:
    port, others = Port(attempts=10**9), set(threading.enumerate())
    reconnector = Reconnector(needed=lambda: port.lost, attempt=port.attempt)
    reconnector.start()
    reconnector.wake()
    reconnector.stop()
    reconnector.stop()
    assert port.lost
    assert set(threading.enumerate()) <= others


def watch(stopped: Callable[[], bool] = lambda: False) -> RestWatch:
    return RestWatch(
        "the board",
        pause=lambda seconds, until: None,  # noqa: ARG005
        stopped=stopped,
        margin_s=0.05,
        um_per_unit=1000.0,
    )


def standings(*told: tuple[float, str]) -> Iterator[Standing]:
    for position, state in told:
        yield Standing(position, state, at_rest=state == "Idle")
    while True:
        yield Standing(told[-1][0], told[-1][1], at_rest=told[-1][1] == "Idle")


def arrive(told: Sequence[tuple[float, str]], stopped: Callable[[], bool] = lambda: False) -> float:
    polls = standings(*told)
    return watch(stopped).arrive(
        1.0,
        poll=lambda: next(polls),
        moving_state="Jog",
        end=time.monotonic(),
        wall_s=0.0,
        tolerance=0.001,
        way=[0.0, 1.0],
    )


def test_arrival() -> None:
    assert arrive([(0.2, "Jog"), (0.9, "Jog"), (1.0005, "Idle")]) == 1.0005


def test_one_rest_elsewhere_may_be_an_old_report() -> None:
    with pytest.raises(MotionError, match="is stuck 500 µm from where it was sent"):
        arrive([(0.5, "Idle"), (0.5, "Jog")])


def test_one_report_from_beyond_the_way_may_be_spoilt_two_are_not() -> None:
    assert arrive([(0.2, "Jog"), (7.2, "Jog"), (0.4, "Jog"), (1.0, "Idle")]) == 1.0
    with pytest.raises(MotionError, match="goes elsewhere, 1300 µm from where it was sent"):
        arrive([(0.2, "Jog"), (-0.2, "Jog"), (-0.3, "Jog")])


def test_rest_elsewhere_is_told_with_the_distance() -> None:
    polls = standings((0.75, "Idle"))
    with pytest.raises(MotionError, match="came to rest 250 µm from where it was sent"):
        watch().arrive(
            1.0,
            poll=lambda: next(polls),
            moving_state="Jog",
            end=float("inf"),
            wall_s=1.0,
            tolerance=0.001,
            way=[0.0, 1.0],
        )


def test_who_should_stand_elsewhere_is_told_the_distance() -> None:
    with pytest.raises(MotionError, match="came to rest 250 µm from where it was sent"):
        watch().expect(Standing(0.75, "Idle", at_rest=True), 1.0, tolerance=0.001)
    watch().expect(Standing(1.0005, "Idle", at_rest=True), 1.0, tolerance=0.001)


def test_a_state_that_nobody_asked_for() -> None:
    with pytest.raises(MotionError, match="went into state Hold:0, 500 µm from where"):
        arrive([(0.5, "Hold:0")])


def test_a_stop_ends_the_watch() -> None:
    with pytest.raises(Interrupted, match="the board was stopped"):
        arrive([(0.5, "Jog")], stopped=lambda: True)


@pytest.mark.parametrize("um_per_unit", [1000.0, -1000.0])
def test_nothing_stands_at_minus_nothing(um_per_unit: float) -> None:
    assert str(Knowledge(-0.0, um_per_unit).height_um(-0.0)) == "0.0"
    assert str(StepGrid(um_per_unit, 80.0, -0.0).height_um(-0.0)) == "0.0"
    with pytest.raises(LimitError, match="limits 0 to 10 µm"):
        check_reach(20, limits_um=(-0.0, 10), backlash_um=0, approach="up", overshoots=False)


def test_knowledge_is_all_or_nothing() -> None:
    known = Knowledge(100.0, -1000.0)
    assert known.reference is Reference.UNREFERENCED
    assert known.height_um(None) is None
    known.trust(200.0, 0.05)
    assert (known.reference, known.height_um(known.position)) == (Reference.REFERENCED, 150.0)
    known.arrive(0.1, 40)
    assert (known.step, known.engaged) == (40, True)
    known.lose("first")
    known.lose("second")
    assert (known.position, known.step, known.engaged) == (None, None, False)
    assert known.fault == "first"
    known.trust(0.0, 0.0)
    assert known.fault is None


@pytest.mark.parametrize("approach", ["up", "down"])
@pytest.mark.parametrize("z_um", [-0.1, 100.1])
def test_no_height_beyond_a_limit_is_in_reach(z_um: float, approach: Literal["up", "down"]) -> None:
    with pytest.raises(
        LimitError, match="beyond the limits 0 to 100 µm: stay within them, or widen focus"
    ):
        check_reach(
            z_um, limits_um=(0.0, 100.0), backlash_um=0.0, approach=approach, overshoots=False
        )


@pytest.mark.parametrize("approach", ["up", "down"])
@pytest.mark.parametrize("um_per_step", [0.25, 2.5, -2.5])
@pytest.mark.parametrize("backlash_um", [1.9, 10.0])
def test_a_turn_goes_further_than_the_backlash_by_a_quarter(
    um_per_step: float, backlash_um: float, approach: Literal["up", "down"]
) -> None:
    grid = StepGrid(um_per_unit=um_per_step, steps_per_unit=1.0, origin_um=0.0)
    start, target = grid.nearest(50.0), grid.nearest(45.0 if approach == "up" else 55.0)
    turn, end = grid.way(start, target, approach=approach, backlash_um=backlash_um, engaged=True)
    beyond_um = grid.height_um(end) - grid.height_um(turn)
    assert end == target
    assert (beyond_um if approach == "up" else -beyond_um) >= 1.25 * backlash_um
