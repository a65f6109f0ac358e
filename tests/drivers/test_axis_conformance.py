"""What every focus-axis driver must do: on its firmware twin, or (`--hardware-rig`) for real."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.drivers.conftest import PATIENCE_S

from zstackd_config.errors import Interrupted
from zstackd_drivers.axis import Reference
from zstackd_drivers.controllers import make_axis
from zstackd_drivers.errors import LimitError, LinkError, UnreferencedError
from zstackd_drivers.serial.port_search import NamedPort

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.drivers.conftest import AxisBench, OpenBench

pytestmark = pytest.mark.usefixtures("no_leaks")
STEP_UM = 0.25


def assert_true(bench: AxisBench, z_um: float) -> None:
    """The axis reports `z_um`, and the specimen of a twin truly stands there."""
    reported_um = bench.axis.snapshot().position_um
    assert reported_um == pytest.approx(z_um, abs=bench.tolerance_um)
    if bench.truth is not None:
        true_um = bench.truth.true_position_um()
        assert true_um == pytest.approx(z_um, abs=STEP_UM / 2 + 1e-6)


def assert_never_wrong(bench: AxisBench) -> None:
    """The driver's position is the motor's, or it says that it does not know."""
    state = bench.axis.snapshot()
    if bench.truth is None:
        return
    if state.reference is Reference.REFERENCED:
        assert state.position_um == pytest.approx(bench.truth.motor_position_um(), abs=1.01)
    assert bench.truth.violations == []


def motions(bench: AxisBench) -> int:
    return 0 if bench.truth is None else bench.truth.motions


def inside(bench: AxisBench, share: float) -> float:
    """Return a height at a share of the limits, in whole micrometres."""
    low, high = bench.focus.limits_um
    return round(low + share * (high - low))


def test_identity_is_the_firmwares_own(any_bench: OpenBench) -> None:
    with any_bench() as bench:
        assert bench.identity in bench.axis.identity()
        assert bench.axis.identity()


def test_starts_unreferenced_and_refuses_to_move(any_bench: OpenBench) -> None:
    with any_bench() as bench:
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED
        with pytest.raises(UnreferencedError, match="home it, or confirm"):
            bench.axis.move_to(inside(bench, 0.2))
        assert motions(bench) == 0


def test_home_makes_the_position_known(any_bench: OpenBench) -> None:
    with any_bench() as bench:
        bench.home()
        state = bench.axis.snapshot()
        assert state.reference is Reference.REFERENCED
        assert state.fault is None
        assert_never_wrong(bench)


def test_moves_end_where_they_were_sent(any_bench: OpenBench) -> None:
    with any_bench() as bench:
        bench.home()
        middle = inside(bench, 0.5)
        for z in (
            middle,
            middle + 10,
            inside(bench, 0.6),
            inside(bench, 0.3),
            bench.focus.limits_um[1],
        ):
            report = bench.axis.move_to(z)
            assert report.commanded_um == z
            assert report.reported_um == pytest.approx(z, abs=bench.tolerance_um)
            assert_true(bench, z)
        assert_never_wrong(bench)


@pytest.mark.parametrize("approach", ["up", "down"])
@pytest.mark.parametrize("turn", [1.0, -0.5])
def test_lost_motion_never_shows(open_bench: OpenBench, approach: str, turn: float) -> None:
    with open_bench() as plain:
        um_per_unit, origin_um = plain.focus.um_per_unit, plain.focus.origin_um
    if turn < 0:
        origin_um = 5000.0 - origin_um
    changes = {"approach": approach, "um_per_unit": turn * um_per_unit, "origin_um": origin_um}
    with open_bench(focus_changes=changes) as bench:
        bench.home()
        for z in (2500.0, 2600.0, 2590.0, 2400.0, 2405.0, 2404.0):
            assert bench.axis.move_to(z).approach == approach
            assert_true(bench, z)
        assert bench.twin.violations == []


def test_overshoots_only_against_the_approach(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.home()
        bench.axis.move_to(2000.0)
        before = bench.twin.motions
        bench.axis.move_to(2010.0)
        bench.axis.move_to(2020.0)
        assert bench.twin.motions == before + 2
        bench.axis.move_to(2015.0)
        assert bench.twin.motions == before + 4


def test_rounds_each_plane_from_the_absolute_target(any_bench: OpenBench) -> None:
    with any_bench() as bench:
        bench.home()
        for index in range(20):
            z = inside(bench, 0.4) + 0.3 * index
            bench.axis.move_to(z)
            assert_true(bench, z)


def test_less_than_a_step_is_no_motion(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.home()
        bench.axis.move_to(2000.0)
        before = bench.twin.motions
        assert bench.axis.move_to(2000.1).motion_s == 0.0
        assert bench.twin.motions == before


def test_limits_reject_before_any_motion(any_bench: OpenBench) -> None:
    with any_bench() as bench:
        low, high = bench.focus.limits_um
        bench.home()
        bench.axis.move_to(inside(bench, 0.2))
        before = motions(bench)
        too_near = low + bench.focus.backlash_um / 2
        for z in (low - 0.1, high + 0.1, too_near, float("nan"), float("inf")):
            with pytest.raises(LimitError, match="µm"):
                bench.axis.move_to(z)
        assert motions(bench) == before
        assert bench.axis.snapshot().reference is Reference.REFERENCED


def test_a_move_back_into_the_limits_is_allowed(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.home()
        low, high = bench.focus.limits_um
        assert not low <= (bench.axis.snapshot().position_um or 0.0) <= high
        bench.axis.move_to(4000.0)
        assert_true(bench, 4000.0)


@pytest.mark.parametrize("beyond", [-0.11, 1.11, 9.0, float("nan"), float("-inf")])
def test_confirm_refuses_what_is_far_beyond_the_limits_and_forgets_nothing(
    open_bench: OpenBench, beyond: float
) -> None:
    with open_bench() as bench:
        bench.home()
        low, high = bench.focus.limits_um
        before = bench.axis.snapshot()
        with pytest.raises(LimitError, match=r"cannot stand at .* from -500 to 5500 µm"):
            bench.axis.confirm(low + beyond * (high - low))
        assert bench.axis.snapshot() == before
        assert before.reference is Reference.REFERENCED


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_confirm_a_little_beyond_the_limits_lets_the_axis_move_back(
    open_bench: OpenBench, share: float
) -> None:
    with open_bench(confirmed=True) as bench:
        low, high = bench.focus.limits_um
        bench.confirm(low + share * (high - low))
        assert bench.axis.snapshot().reference is Reference.REFERENCED


def test_confirm_takes_the_operators_word_and_moves_nothing(any_bench: OpenBench) -> None:
    with any_bench(confirmed=True) as bench:
        middle = inside(bench, 0.5)
        bench.confirm(float(middle))
        assert bench.axis.snapshot().position_um == pytest.approx(middle, abs=bench.tolerance_um)
        assert motions(bench) == 0
        before = 0.0 if bench.truth is None else bench.truth.motor_position_um()
        report = bench.axis.move_to(middle + 100.0)
        assert report.reported_um == pytest.approx(middle + 100.0, abs=bench.tolerance_um)
        if bench.truth is not None:
            assert bench.truth.motor_position_um() == pytest.approx(before + 100.0, abs=1.0)
        assert_never_wrong_by(bench, middle - before)


def assert_never_wrong_by(bench: AxisBench, offset_um: float) -> None:
    """As `assert_never_wrong`, where the operator's word was off by `offset_um`."""
    if bench.truth is not None:
        reported = bench.axis.snapshot().position_um
        assert reported == pytest.approx(bench.truth.motor_position_um() + offset_um, abs=1.01)
        assert bench.truth.violations == []


def best_of(tries: int, took_s: Callable[[], float], bound_s: float) -> float:
    """Return the first duration within the bound, or the best: a busy machine gets more tries."""
    found: list[float] = []
    while len(found) < tries and not any(each < bound_s for each in found):
        found.append(took_s())
    return min(found)


def test_stop_acts_within_100_ms_and_keeps_the_position(any_bench: OpenBench) -> None:
    with any_bench(scale=1.0, confirmed=True, resets_on_open=False) as bench:
        bench.confirm()

        def took_s() -> float:
            thread, errors = bench.start_move(inside(bench, 0.9))
            asked = bench.clock.monotonic_ns()
            bench.axis.stop()
            thread.join(PATIENCE_S)
            assert isinstance(errors[0], Interrupted)
            rest = bench.clock.monotonic_ns()
            if bench.truth is not None:
                rest = bench.truth.last_motion_end_ns() or rest
            assert bench.axis.snapshot().reference is Reference.REFERENCED
            assert_never_wrong(bench)
            return (rest - asked) / 1e9

        # 100 ms to begin, 50 ms of braking, and as much again for a busy machine.
        assert best_of(5, took_s, 0.3) < 0.3


def test_a_move_after_a_stop_is_exact(any_bench: OpenBench) -> None:
    with any_bench() as bench:
        bench.home()
        for _ in range(3):
            (error,) = bench.stopped_move(inside(bench, 0.1))
            assert isinstance(error, Interrupted)
            assert_never_wrong(bench)
            bench.axis.move_to(inside(bench, 0.8))
            assert_true(bench, inside(bench, 0.8))


@pytest.mark.parametrize("further_um", [0.0, 3.0])
def test_the_first_plane_after_a_stop_takes_up_the_lost_motion(
    open_bench: OpenBench, further_um: float
) -> None:
    with open_bench() as bench:
        bench.home()
        bench.axis.move_to(4500.0)
        (error,) = bench.stopped_move(500.0)
        assert isinstance(error, Interrupted)
        z = (bench.axis.snapshot().position_um or 0.0) + further_um
        bench.axis.move_to(z)
        assert_true(bench, z)


def test_stop_while_homing_ends_it_and_the_position_is_unknown(any_bench: OpenBench) -> None:
    with any_bench(scale=3.0) as bench:
        if not bench.can_home:
            pytest.skip("this rig cannot home")

        def took_s() -> float:
            bench.confirm()
            with ThreadPoolExecutor() as other:
                homing = other.submit(bench.axis.home)
                bench.wait_until(lambda: bench.axis.snapshot().moving)
                bench.wait_until(lambda: bench.truth is None or not bench.stands())
                asked = bench.clock.monotonic_ns()
                bench.axis.stop()
                with pytest.raises(Interrupted):
                    homing.result(PATIENCE_S)
            assert bench.axis.snapshot().reference is Reference.UNREFERENCED
            if bench.truth is None:
                return 0.0
            bench.wait_until(bench.stands)
            return ((bench.truth.last_motion_end_ns() or asked) - asked) / 1e9

        assert best_of(1 if bench.truth is None else 5, took_s, 0.9) < 0.9


class Turn:
    """The lock on an axis, which tells that somebody asks for it."""

    def __init__(self, lock: threading.Lock) -> None:
        self.asked = threading.Event()
        self._lock = lock

    def __enter__(self) -> None:
        self.asked.set()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@pytest.mark.parametrize("order", ["move", "home"])
def test_a_stop_ends_what_still_waits_for_its_turn(
    open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    with open_bench() as bench:
        bench.home()
        before, lock = bench.twin.motions, bench.axis._operating
        turn = Turn(lock)
        monkeypatch.setattr(bench.axis, "_operating", turn)
        orders = {"move": lambda: bench.axis.move_to(2000.0), "home": bench.axis.home}
        with ThreadPoolExecutor() as other:
            with lock:
                waiting = other.submit(orders[order])
                assert turn.asked.wait(PATIENCE_S)
                bench.axis.stop()
            with pytest.raises(Interrupted):
                waiting.result(PATIENCE_S)
        assert bench.twin.motions == before


def test_a_second_instance_is_refused(any_bench: OpenBench) -> None:
    with any_bench() as bench:
        bench.home()
        port = NamedPort(bench.focus.port if bench.truth is None else bench.truth.port)
        second = make_axis(bench.focus, port=port, clock=bench.clock)
        with pytest.raises(LinkError, match=f"{port.path} is in use"), second:
            pass
        bench.axis.move_to(inside(bench, 0.2))
        assert_true(bench, inside(bench, 0.2))


def test_opening_again_asks_for_a_reference_again(any_bench: OpenBench) -> None:
    with any_bench() as bench:
        bench.home()
        bench.axis.__exit__(None, None, None)
        with pytest.raises(LinkError, match="cannot be told to stop"):
            bench.axis.stop()
        with bench.axis:
            assert bench.axis.snapshot().reference is Reference.UNREFERENCED
            bench.home()
            bench.axis.move_to(inside(bench, 0.2))
            assert_true(bench, inside(bench, 0.2))


def test_durations_are_those_of_the_motion(any_bench: OpenBench) -> None:
    with any_bench(scale=20.0, confirmed=True) as bench:
        near, far = inside(bench, 0.2), inside(bench, 0.4)
        up = bench.axis.move_duration_s(near, far)
        assert up >= (far - near) / bench.focus.speed_um_per_s
        bench.confirm()

        def took_s() -> float:
            bench.axis.move_to(near)
            began = bench.clock.monotonic_ns()
            assert bench.axis.move_to(far).motion_s == pytest.approx(up)
            if bench.truth is None:
                return up
            took = ((bench.truth.last_motion_end_ns() or 0) - began) / 1e9
            assert took >= 0.8 * up
            return took

        assert best_of(8, took_s, 2 * up) <= 2 * up
        down = bench.axis.move_duration_s(far, near)
        assert down > up if bench.focus.backlash_um else down == pytest.approx(up)
