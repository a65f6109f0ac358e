"""What is a Sangaboard's own: two firmwares, a speed of the board's, end stops that few have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from zstackd_config.errors import HardwareError
from zstackd_drivers.axis import Reference
from zstackd_drivers.errors import LinkError, MotionError, NoHomingError, WrongDeviceError
from zstackd_drivers.firmware.faults import Action, Fault
from zstackd_drivers.sangaboard.settings import SangaboardSettings

if TYPE_CHECKING:
    from tests.drivers.conftest import AxisBench, OpenBench

pytestmark = pytest.mark.usefixtures("no_leaks")


def heard(bench: AxisBench) -> str:
    return bench.axis.snapshot().fault or ""


def test_without_end_stops_it_cannot_home_and_nothing_moves(sangaboard_bench: OpenBench) -> None:
    with sangaboard_bench(end_stops=()) as bench:
        bench.confirm()
        with pytest.raises(NoHomingError, match="cannot home: its firmware is built without min"):
            bench.axis.home()
        assert bench.twin.motions == 0
        bench.axis.move_to(1500.0)
        assert bench.twin.motor_position_um() == pytest.approx(1500.0, abs=0.13)
        assert bench.twin.violations == []


def test_an_end_stop_that_is_never_met_is_no_homing(sangaboard_bench: OpenBench) -> None:
    with sangaboard_bench(home_fails=True, travel=(-200_000.0, 200_000.0)) as bench:
        with pytest.raises(MotionError, match="did not find its end stop"):
            bench.axis.home()
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED


def test_a_switch_that_is_met_only_once_is_no_homing(sangaboard_bench: OpenBench) -> None:
    with sangaboard_bench(home_hits=1) as bench:
        with pytest.raises(MotionError, match="did not find its end stop"):
            bench.axis.home()
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED


def test_the_old_firmware_that_never_ends_homing_is_given_up(
    benches: dict[str, OpenBench],
) -> None:
    with benches["sangaboard-0.5"](scale=3000.0, home_fails=True) as bench:
        with pytest.raises(LinkError, match="no reply to 'home_min 4'"):
            bench.axis.home()
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED


def test_homing_that_hangs_is_given_up(sangaboard_bench: OpenBench) -> None:
    with sangaboard_bench() as bench:
        bench.twin.script(Fault(Action.STALL, on_line="home_min"))
        with pytest.raises(MotionError, match="did not end homing in time: check its switch"):
            bench.axis.home()
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED


def test_the_boards_speed_is_made_the_rigs(sangaboard_bench: OpenBench) -> None:
    with sangaboard_bench(scale=30.0, step_delay_us=9999) as bench:
        bench.confirm()
        factors: list[float] = []
        while len(factors) < 8 and not any(factor < 5 for factor in factors):
            bench.axis.move_to(500.0)
            began = bench.clock.monotonic_ns()
            report = bench.axis.move_to(1500.0)
            assert report.motion_s == pytest.approx(1000.0 / 500.0, rel=0.05)
            ended = bench.twin.last_motion_end_ns() or 0
            factors.append((ended - began) / 1e9 / report.motion_s)
        assert factors[-1] < 5, factors


def test_a_board_that_waits_for_the_end_of_moves_is_told_not_to(
    sangaboard_bench: OpenBench,
) -> None:
    with sangaboard_bench(blocking_moves=True) as bench:
        bench.confirm()
        bench.axis.move_to(1500.0)
        assert bench.twin.motor_position_um() == pytest.approx(1500.0, abs=0.13)


def test_a_stop_without_the_ramp_it_needs_costs_the_position(
    sangaboard_bench: OpenBench, caplog: pytest.LogCaptureFixture
) -> None:
    with sangaboard_bench(scale=10.0, ramp_time_us=200_000) as bench:
        assert "a stop costs the position" in caplog.text
        bench.confirm()
        (error,) = bench.stopped_move(4000.0)
        assert isinstance(error, MotionError)
        assert "steps may be lost" in heard(bench)
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED


def test_ramps_take_their_time(sangaboard_bench: OpenBench) -> None:
    with sangaboard_bench(ramp_time_us=200_000) as bench:
        assert bench.axis.move_duration_s(1000.0, 2000.0) == pytest.approx(2.2, rel=0.01)
        bench.confirm()
        bench.axis.move_to(1500.0)
        assert bench.twin.motor_position_um() == pytest.approx(1500.0, abs=0.13)


def test_the_old_firmware_moves_in_chunks_that_end_soon() -> None:
    quick = SangaboardSettings(delay_us=500, ramp_us=0, blocks=True, can_home=False)
    assert quick.chunk_steps * quick.delay_us <= 60_000
    ramped = SangaboardSettings(delay_us=500, ramp_us=20_000, blocks=True, can_home=False)
    assert ramped.chunk_steps * ramped.delay_us + ramped.ramp_us <= 60_000
    crawling = SangaboardSettings(delay_us=100_000, ramp_us=0, blocks=True, can_home=False)
    assert crawling.chunk_steps == 1


def test_an_older_firmware_is_refused(sangaboard_bench: OpenBench) -> None:
    with pytest.raises(WrongDeviceError, match=r"not Sangaboard: it says .*v0\.4"):
        sangaboard_bench(version="0.4").__enter__()


def test_an_end_stop_in_mid_move_is_told(sangaboard_bench: OpenBench) -> None:
    with sangaboard_bench(scale=20.0) as bench:
        bench.confirm()
        bench.twin.script(Fault(Action.ALARM, on_motion=1, delay_s=0.02))
        with pytest.raises(MotionError, match="end stop -3 was hit"):
            bench.axis.move_to(4000.0)


def test_reset_in_mid_move_it_counts_from_an_old_position(sangaboard_bench: OpenBench) -> None:
    with sangaboard_bench(scale=20.0) as bench:
        bench.confirm()
        before = bench.axis.snapshot().position_um
        bench.twin.script(Fault(Action.RESET, on_motion=1, delay_s=0.2))
        with pytest.raises(HardwareError):
            bench.axis.move_to(4000.0)
        bench.wait_until(lambda: bool(heard(bench)))
        bench.twin.operator_confirms()
        true_um = bench.twin.motor_position_um()
        assert true_um != pytest.approx(before, abs=10.0)
        bench.axis.confirm(true_um)
        bench.axis.move_to(3000.0)
        assert bench.twin.motor_position_um() == pytest.approx(3000.0, abs=0.13)


def test_a_motion_found_at_opening_is_ended(sangaboard_bench: OpenBench) -> None:
    with sangaboard_bench(scale=10.0, resets_on_open=False) as bench:
        bench.confirm()
        before_um = bench.twin.motor_position_um()
        bench.close_for(b"dt 20000\nmr 0 0 8000\n", until=lambda: not bench.stands())
        with bench.axis:
            assert bench.stands()
            assert bench.twin.motor_position_um() < before_um + 1000.0
