"""What is Marlin's own: its settings, its soft end stops, its quick stop, its numbered lines."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.drivers.conftest import TIMEOUTS

from zstackd_drivers.axis import Reference
from zstackd_drivers.errors import LimitError, LinkError, MotionError, WrongDeviceError
from zstackd_drivers.firmware.faults import Action, Fault
from zstackd_drivers.marlin.machine import IDLE_LIMIT_S

if TYPE_CHECKING:
    from tests.drivers.conftest import OpenBench

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.mark.parametrize(
    "quirk", [{"legacy": True}, {"advanced_ok": True}, {"home": "high"}, {"extruders": 2}]
)
def test_all_sorts_of_builds(marlin_bench: OpenBench, quirk: dict[str, object]) -> None:
    with marlin_bench(**quirk) as bench:
        bench.axis.home()
        for z in (1000.0, 1200.0, 900.0):
            assert bench.axis.move_to(z).reported_um == pytest.approx(z, abs=0.13)
        assert bench.twin.true_position_um() == pytest.approx(900.0, abs=0.13)


def test_a_build_that_tells_no_settings_is_refused(marlin_bench: OpenBench) -> None:
    with pytest.raises(WrongDeviceError, match=r"did not report M92 Z: it needs a build that"):
        marlin_bench(reports_settings=False).__enter__()


def test_a_build_with_a_speed_of_nothing_is_refused(marlin_bench: OpenBench) -> None:
    with pytest.raises(WrongDeviceError, match=r"has M203 Z0: it must be more than 0"):
        marlin_bench(max_speed=0.0).__enter__()


def test_homing_that_needs_other_axes_is_not_taken_for_homing(marlin_bench: OpenBench) -> None:
    with marlin_bench(homes_xy=True) as bench:
        with pytest.raises(MotionError, match=r"did not home \(Home XY First\)"):
            bench.axis.home()
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED


def test_homing_that_fails_halts_the_board_and_the_next_one_revives_it(
    marlin_bench: OpenBench,
) -> None:
    with marlin_bench(home_fails=True) as bench:
        for _ in range(2):
            with pytest.raises(MotionError, match="Printer halted"):
                bench.axis.home()
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED


@pytest.mark.parametrize("keepalive_s", [0.0, None])
def test_homing_and_long_moves_may_take_longer_than_a_controller_is_silent(
    marlin_bench: OpenBench, keepalive_s: float | None
) -> None:
    impatient = replace(TIMEOUTS, busy_s=0.4)
    with marlin_bench(
        scale=10.0, keepalive_s=keepalive_s, homing_speed=0.25, timeouts=impatient
    ) as bench:
        begun_ns = bench.clock.monotonic_ns()
        bench.axis.home()
        assert bench.clock.monotonic_ns() - begun_ns > 6e9
        assert bench.axis.move_to(4000.0).reported_um == pytest.approx(4000.0, abs=0.13)


def test_homing_of_a_silent_controller_that_never_ends_is_given_up(
    marlin_bench: OpenBench,
) -> None:
    with marlin_bench(keepalive_s=None) as bench:
        begun = time.monotonic()
        bench.twin.script(Fault(Action.SILENCE, on_motion=0))
        with pytest.raises(LinkError, match=r"no reply to 'N[0-9]+ G28 Z"):
            bench.axis.home()
        assert time.monotonic() - begun < 30.0
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED


@pytest.mark.parametrize("z_um", [1000.0, 4900.0])
def test_soft_end_stops_would_clamp_so_the_move_is_refused(
    marlin_bench: OpenBench, z_um: float
) -> None:
    with marlin_bench(travel=(0.0, 2.0), start=1.0) as bench:
        bench.confirm(2500.0)
        with pytest.raises(LimitError, match=r"would clamp Z .* soft end stops \(M211\)"):
            bench.axis.move_to(z_um)
        assert bench.axis.snapshot().reference is Reference.REFERENCED
        assert bench.twin.motions == 0


@pytest.mark.parametrize("jerk", [None, 0.1])
def test_a_stop_from_more_than_the_jerk_costs_the_position(
    marlin_bench: OpenBench, jerk: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    with marlin_bench(scale=10.0, jerk=jerk, resets_on_open=False) as bench:
        assert "a stop at 500 µm/s costs the position" in caplog.text
        bench.axis.home()
        (error,) = bench.stopped_move(4000.0)
        assert isinstance(error, MotionError)
        assert "steps may be lost" in str(error)
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED
        bench.axis.home()
        bench.axis.move_to(1000.0)
        assert bench.twin.true_position_um() == pytest.approx(1000.0, abs=0.13)
        assert bench.twin.violations == []


def test_a_spoilt_line_is_sent_again(
    marlin_bench: OpenBench, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), marlin_bench() as bench:
        bench.axis.home()
        for z in (1000.0, 2000.0, 1500.0, 1600.0):
            bench.twin.script(Fault(Action.GARBLE, on_motion=0))
            bench.axis.move_to(z)
            assert bench.twin.true_position_um() == pytest.approx(z, abs=0.13)
        assert bench.twin.violations == []
    assert "Last Line" in caplog.text


def restarted(firmware: Any) -> bool:
    return firmware._last_number == 0 and not firmware._booting


def test_a_restart_without_a_word_is_noticed_by_the_line_number(marlin_bench: OpenBench) -> None:
    with marlin_bench(greets=False) as bench:
        bench.axis.home()
        bench.axis.move_to(1000.0)
        bench.twin.script(Fault(Action.RESET, on_motion=0))
        bench.wait_until(lambda: restarted(bench.twin._firmware))
        assert bench.axis.snapshot().reference is Reference.REFERENCED
        with pytest.raises(MotionError, match=r"asks for line 1 instead of \d+: it restarted"):
            bench.axis.move_to(1100.0)
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED
        assert bench.twin.violations == []
        bench.axis.home()
        bench.axis.move_to(1100.0)
        assert bench.twin.true_position_um() == pytest.approx(1100.0, abs=0.13)


def test_a_workspace_offset_is_refused_and_homing_ends_it(marlin_bench: OpenBench) -> None:
    with marlin_bench(resets_on_open=False) as bench:
        bench.axis.home()
        bench.axis.__exit__(None, None, None)
        with open(bench.twin.port, "wb", buffering=0) as port:  # noqa: PTH123 - a device
            port.write(b"G92 Z5\n")
        with bench.axis:
            bench.twin.operator_confirms()
            with pytest.raises(MotionError, match="end workspace offsets"):
                bench.axis.confirm(1000.0)
            bench.axis.home()
            assert bench.axis.move_to(1000.0).reported_um == pytest.approx(1000.0, abs=1.0)


def test_inches_of_another_program_are_ended_at_opening(marlin_bench: OpenBench) -> None:
    with marlin_bench(resets_on_open=False) as bench:
        bench.axis.home()
        before = bench.twin.motions
        bench.close_for(b"G20\nG91\nG1 Z0.01 F60\n", until=lambda: bench.twin.motions > before)
        with bench.axis:
            bench.axis.home()
            bench.axis.move_to(100.0)
            assert bench.twin.true_position_um() == pytest.approx(100.0, abs=0.13)


def test_a_speed_turned_up_at_the_display_is_set_right_at_opening(
    marlin_bench: OpenBench,
) -> None:
    with marlin_bench(scale=10.0, resets_on_open=False, true_backlash_um=0.0) as bench:
        bench.axis.home()
        before = bench.twin.motions
        bench.close_for(b"M220 S400\nG1 Z0.01 F60\n", until=lambda: bench.twin.motions > before)
        with bench.axis:
            bench.axis.home()
            begun_ns = bench.clock.monotonic_ns()
            bench.axis.move_to(1000.0)
            ended_ns = bench.twin.last_motion_end_ns() or 0
        assert (ended_ns - begun_ns) / 1e9 > 0.9 * 1500 / bench.focus.speed_um_per_s


def test_the_motor_keeps_its_current_however_long_it_rests(marlin_bench: OpenBench) -> None:
    with marlin_bench(scale=1000.0) as bench:
        bench.axis.home()
        bench.axis.move_to(1000.0)
        bench.clock.wait(threading.Event(), 1.5 * IDLE_LIMIT_S)
        bench.axis.move_to(1100.0)
        assert bench.twin.true_position_um() == pytest.approx(1100.0, abs=0.13)
        assert bench.twin.violations == []


def test_a_motor_that_comes_to_rest_elsewhere_is_noticed(marlin_bench: OpenBench) -> None:
    with marlin_bench(travel=(0.0, 4.0), soft_end_stops=False) as bench:
        bench.axis.home()
        bench.axis.move_to(2000.0)
        # Somebody switches the clamping on after the settings were read.
        bench.twin._firmware.machine.soft_end_stops = True  # type: ignore[attr-defined]
        with pytest.raises(MotionError, match="came to rest 500 µm from where it was sent"):
            bench.axis.move_to(3000.0)
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED


def test_slower_than_asked_is_worth_a_warning(
    marlin_bench: OpenBench, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), marlin_bench(max_speed=0.2) as bench:
        assert "M203 Z0.2 allows 200 µm/s" in caplog.text
        up = bench.axis.move_duration_s(1000.0, 2000.0)
        assert up == pytest.approx(1000.0 / 200.0, rel=0.05)


def test_a_motion_found_at_opening_is_ended_and_heights_are_absolute_again(
    marlin_bench: OpenBench,
) -> None:
    with marlin_bench(scale=10.0, resets_on_open=False) as bench:
        bench.confirm()
        before_um = bench.twin.motor_position_um()
        bench.close_for(b"G91\nG1 Z1 F0.6\n", until=lambda: not bench.stands())
        with bench.axis:
            assert bench.stands()
            assert bench.twin.motor_position_um() < before_um + 500.0
            bench.axis.home()
            for z in (1000.0, 1500.0):
                bench.axis.move_to(z)
                assert bench.twin.true_position_um() == pytest.approx(z, abs=0.25)
