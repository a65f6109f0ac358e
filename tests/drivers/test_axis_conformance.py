"""What every focus-axis driver must do, on its firmware twin."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from zstackd_config.errors import HardwareError, Interrupted
from zstackd_drivers.axis import Reference
from zstackd_drivers.controllers import make_axis
from zstackd_drivers.errors import LimitError, LinkError, MotionError, UnreferencedError
from zstackd_drivers.port_search import NamedPort
from zstackd_drivers.twin_faults import Action, Fault

if TYPE_CHECKING:
    from pathlib import Path

    from tests.drivers.conftest import AxisBench, OpenBench

pytestmark = pytest.mark.usefixtures("no_leaks")
STEP_UM = 0.25


def assert_true(bench: AxisBench, z_um: float) -> None:
    assert bench.twin.true_position_um() == pytest.approx(z_um, abs=STEP_UM / 2 + 1e-6)


def assert_never_wrong(bench: AxisBench) -> None:
    """The driver's position is the motor's, or it says that it does not know."""
    state = bench.axis.snapshot()
    if state.reference is Reference.REFERENCED:
        assert state.position_um == pytest.approx(bench.twin.motor_position_um(), abs=1.01)
    assert bench.twin.violations == []


def test_identity_is_the_firmwares_own(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        assert "1.1h" in bench.axis.identity()


def test_starts_unreferenced_and_refuses_to_move(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED
        with pytest.raises(UnreferencedError, match="home it, or confirm"):
            bench.axis.move_to(1000.0)
        assert bench.twin.motions == 0


def test_home_makes_the_position_known(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.axis.home()
        state = bench.axis.snapshot()
        assert state.reference is Reference.REFERENCED
        assert state.fault is None
        assert state.position_um == pytest.approx(bench.twin.motor_position_um(), abs=1.0)


def test_moves_end_where_they_were_sent(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.axis.home()
        for z in (2000.0, 2010.0, 2500.0, 1200.0, 1199.75, 100.0, 5000.0):
            report = bench.axis.move_to(z)
            assert report.commanded_um == z
            assert report.reported_um == pytest.approx(z, abs=1.0)
            assert_true(bench, z)
        assert_never_wrong(bench)


@pytest.mark.parametrize("approach", ["up", "down"])
@pytest.mark.parametrize("um_per_unit", [1000.0, -1000.0, 100.0])
def test_lost_motion_never_shows(open_bench: OpenBench, approach: str, um_per_unit: float) -> None:
    origin = 6000.0 if um_per_unit > 0 else -1000.0
    changes = {"approach": approach, "um_per_unit": um_per_unit, "origin_um": origin}
    with open_bench(focus_changes=changes) as bench:
        bench.axis.home()
        for z in (2500.0, 2600.0, 2590.0, 2400.0, 2405.0, 2404.0):
            assert bench.axis.move_to(z).approach == approach
            assert_true(bench, z)
        assert bench.twin.violations == []


def test_overshoots_only_against_the_approach(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.axis.home()
        bench.axis.move_to(2000.0)
        before = bench.twin.motions
        bench.axis.move_to(2010.0)
        bench.axis.move_to(2020.0)
        assert bench.twin.motions == before + 2
        bench.axis.move_to(2015.0)
        assert bench.twin.motions == before + 4


def test_rounds_each_plane_from_the_absolute_target(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.axis.home()
        for index in range(25):
            z = 2000.0 + 0.3 * index
            bench.axis.move_to(z)
            assert_true(bench, z)


def test_less_than_a_step_is_no_motion(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.axis.home()
        bench.axis.move_to(2000.0)
        before = bench.twin.motions
        assert bench.axis.move_to(2000.1).motion_s == 0.0
        assert bench.twin.motions == before


@pytest.mark.parametrize("z", [-0.1, 5000.1, 5.0, float("nan"), float("inf")])
def test_limits_reject_before_any_motion(open_bench: OpenBench, z: float) -> None:
    with open_bench() as bench:
        bench.axis.home()
        bench.axis.move_to(1000.0)
        before = bench.twin.motions
        with pytest.raises(LimitError, match="µm"):
            bench.axis.move_to(z)
        assert bench.twin.motions == before
        assert bench.axis.snapshot().reference is Reference.REFERENCED


def test_a_move_back_into_the_limits_is_allowed(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.axis.home()
        assert (bench.axis.snapshot().position_um or 0.0) > bench.focus.limits_um[1]
        bench.axis.move_to(4000.0)
        assert_true(bench, 4000.0)


def test_confirm_takes_the_operators_word_and_moves_nothing(open_bench: OpenBench) -> None:
    with open_bench(settings={20: 0}) as bench:
        before = bench.twin.motor_position_um()
        bench.axis.confirm(2500.0)
        assert bench.axis.snapshot().position_um == pytest.approx(2500.0)
        assert bench.twin.motor_position_um() == before
        bench.axis.move_to(2600.0)
        assert bench.twin.motor_position_um() == pytest.approx(before + 100.0, abs=1.0)
        assert bench.twin.violations == []


def start_move(bench: AxisBench, z: float) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            bench.axis.move_to(z)
        except HardwareError as error:
            errors.append(error)
        except Interrupted as error:
            errors.append(error)

    before = bench.twin.motions
    thread = threading.Thread(target=run)
    thread.start()
    bench.wait_until(lambda: bench.twin.motions > before)
    return thread, errors


def test_stop_brakes_at_once_and_keeps_the_position(open_bench: OpenBench) -> None:
    with open_bench(scale=1.0, start=-2.0, settings={112: 600_000, 25: 600_000}) as bench:
        bench.axis.home()
        thread, errors = start_move(bench, 1000.0)
        bench.wait_until(lambda: bench.axis.snapshot().moving)
        asked = bench.clock.monotonic_ns()
        bench.axis.stop()
        thread.join(5.0)
        assert isinstance(errors[0], Interrupted)
        rest = bench.twin.last_motion_end_ns()
        assert rest is not None
        # 100 ms to begin, 50 ms of braking, and as much again for a busy machine.
        assert rest - asked < 300_000_000
        assert bench.axis.snapshot().reference is Reference.REFERENCED
        assert_never_wrong(bench)


def test_a_move_after_a_stop_is_exact(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.axis.home()
        for _ in range(5):
            thread, errors = start_move(bench, 300.0)
            bench.axis.stop()
            thread.join(5.0)
            assert isinstance(errors[0], Interrupted)
            assert_never_wrong(bench)
            bench.axis.move_to(4000.0)
            assert_true(bench, 4000.0)


def test_stop_while_homing_ends_it_and_the_position_is_unknown(open_bench: OpenBench) -> None:
    with open_bench(scale=2.0) as bench:
        errors: list[BaseException] = []

        def home() -> None:
            try:
                bench.axis.home()
            except Interrupted as error:
                errors.append(error)

        thread = threading.Thread(target=home)
        thread.start()
        bench.wait_until(lambda: bench.axis.snapshot().moving)
        bench.axis.stop()
        thread.join(5.0)
        assert len(errors) == 1
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED


@pytest.mark.parametrize(
    "action",
    [Action.RESET, Action.ALARM, Action.STALL, Action.UNPLUG, Action.SILENCE, Action.LOSE_REPLY],
)
def test_a_fault_in_mid_move_makes_the_position_unknown(
    open_bench: OpenBench, action: Action
) -> None:
    delay_s = 0.0 if action is Action.LOSE_REPLY else 0.5
    trigger = Fault(action, on_line="$J", delay_s=delay_s)
    with open_bench() as bench:
        bench.axis.home()
        bench.twin.script(trigger)
        with pytest.raises((MotionError, LinkError)) as caught:
            bench.axis.move_to(1000.0)
        assert "\n" not in str(caught.value)
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED
        assert bench.axis.snapshot().fault
        before = bench.twin.motions
        with pytest.raises(UnreferencedError):
            bench.axis.move_to(1000.0)
        assert bench.twin.motions == before
        assert bench.twin.violations == []


@pytest.mark.parametrize("action", [Action.RESET, Action.ALARM, Action.STALL, Action.LOSE_REPLY])
def test_homing_recovers_from_a_fault(open_bench: OpenBench, action: Action) -> None:
    delay_s = 0.0 if action is Action.LOSE_REPLY else 0.5
    with open_bench() as bench:
        bench.axis.home()
        bench.twin.script(Fault(action, on_line="$J", delay_s=delay_s))
        with pytest.raises(HardwareError):
            bench.axis.move_to(1000.0)
        bench.axis.home()
        bench.axis.move_to(1500.0)
        assert_true(bench, 1500.0)
        assert_never_wrong(bench)


@pytest.mark.parametrize("action", [Action.DOUBLE_REPLY, Action.NOISE, Action.SPLIT, Action.MERGE])
@pytest.mark.parametrize("delay_s", [0.0, 0.4])
def test_a_bad_line_never_makes_the_position_wrong(
    open_bench: OpenBench, action: Action, delay_s: float
) -> None:
    with open_bench() as bench:
        bench.axis.home()
        bench.twin.script(Fault(action, on_line="$J", delay_s=delay_s))
        for z in (3000.0, 2900.0, 3100.0):
            try:
                bench.axis.move_to(z)
            except HardwareError:
                assert bench.axis.snapshot().reference is Reference.UNREFERENCED
                break
            assert_true(bench, z)
        assert_never_wrong(bench)


def test_a_restart_at_rest_is_noticed_without_a_move(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.axis.home()
        bench.axis.move_to(1000.0)
        bench.twin.script(Fault(Action.RESET, on_motion=0))
        bench.wait_until(lambda: bench.axis.snapshot().reference is Reference.UNREFERENCED)
        assert "restarted" in (bench.axis.snapshot().fault or "")


def test_replug_under_another_name_reconnects_but_never_moves_by_itself(
    open_bench: OpenBench, tmp_path: Path
) -> None:
    with open_bench(link=tmp_path / "by-id") as bench:
        bench.axis.home()
        bench.axis.move_to(1000.0)
        old = bench.twin.port
        bench.twin.script(Fault(Action.REPLUG, on_motion=0))
        bench.wait_until(lambda: bench.axis.snapshot().reference is Reference.UNREFERENCED)
        with pytest.raises(UnreferencedError):
            bench.axis.move_to(1100.0)
        assert bench.twin.port != old
        bench.axis.home()
        bench.axis.move_to(1100.0)
        assert_true(bench, 1100.0)
        assert bench.twin.violations == []


def test_a_second_instance_is_refused(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.axis.home()
        second = make_axis(bench.focus, port=NamedPort(bench.twin.port), clock=bench.clock)
        with pytest.raises(LinkError, match=f"{bench.twin.port} is in use"), second:
            pass
        bench.axis.move_to(1000.0)
        assert_true(bench, 1000.0)


def test_opening_again_asks_for_a_reference_again(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        bench.axis.home()
        bench.axis.__exit__(None, None, None)
        with pytest.raises(LinkError):
            bench.axis.stop()
        with bench.axis:
            assert bench.axis.snapshot().reference is Reference.UNREFERENCED
            bench.axis.home()
            bench.axis.move_to(1000.0)
            assert_true(bench, 1000.0)


def test_durations_follow_speed_and_acceleration(open_bench: OpenBench) -> None:
    with open_bench() as bench:
        ramp_s = 500.0 / 10_000.0
        up = bench.axis.move_duration_s(1000.0, 2000.0)
        assert up == pytest.approx(1000.0 / 500.0 + ramp_s, rel=1e-6)
        back = bench.axis.move_duration_s(2000.0, 2000.0 - 1000.0)
        short_s = 2 * (12.5 / 10_000.0) ** 0.5
        assert back == pytest.approx(1012.5 / 500.0 + ramp_s + short_s, rel=1e-6)
        bench.axis.home()
        bench.axis.move_to(1000.0)
        began = bench.clock.monotonic_ns()
        assert bench.axis.move_to(2000.0).motion_s == pytest.approx(up)
        ended = bench.twin.last_motion_end_ns()
        assert ended is not None
        assert (ended - began) / 1e9 >= up
