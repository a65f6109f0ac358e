"""Whatever goes wrong, every driver's position is right, or it says that it does not know it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from tests.drivers.conftest import PATIENCE_S, refused

from zstackd_config.errors import HardwareError
from zstackd_drivers.axis import Reference
from zstackd_drivers.errors import LinkError, MotionError, UnreferencedError, WrongDeviceError
from zstackd_drivers.firmware.faults import Action, Fault
from zstackd_drivers.serial.dialogue import Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.drivers.conftest import AxisBench, OpenBench

pytestmark = pytest.mark.usefixtures("no_leaks")
SHORT = Timeouts(reply_s=0.2, handshake_s=6.0, margin_s=0.15, busy_s=0.2, quiet_s=0.015)
HEALING = {Action.RESET, Action.ALARM, Action.STALL, Action.LOSE_REPLY}
STEP_UM = 0.25
IN_MID_MOVE_S = 0.02


def reach(bench: AxisBench, z_um: float) -> None:
    """Home and move, again where a busy machine let the short patience run out."""
    for _ in range(5):
        try:
            bench.axis.home()
            bench.axis.move_to(z_um)
        except HardwareError:
            assert bench.axis.snapshot().reference is Reference.UNREFERENCED
            continue
        return
    pytest.fail("the axis cannot be homed and moved any more")


def assert_true(bench: AxisBench, z_um: float) -> None:
    true_um = bench.twin.true_position_um()
    assert true_um == pytest.approx(z_um, abs=STEP_UM / 2 + 1e-6)


def assert_never_wrong(bench: AxisBench) -> None:
    state = bench.axis.snapshot()
    if state.reference is Reference.REFERENCED:
        assert state.position_um == pytest.approx(bench.twin.motor_position_um(), abs=1.01)
    assert bench.twin.violations == []


@pytest.mark.parametrize(
    "action",
    [Action.RESET, Action.ALARM, Action.STALL, Action.UNPLUG, Action.SILENCE, Action.LOSE_REPLY],
)
def test_a_fault_in_mid_move_costs_the_position_until_it_is_homed(
    open_bench: OpenBench, action: Action
) -> None:
    delay_s = 0.0 if action is Action.LOSE_REPLY else IN_MID_MOVE_S
    with open_bench(scale=40.0, confirmed=True, timeouts=SHORT) as bench:
        bench.confirm()
        bench.twin.script(Fault(action, on_motion=1, delay_s=delay_s))
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
        if action in HEALING:
            reach(bench, 1500.0)
            assert_true(bench, 1500.0)
            assert_never_wrong(bench)


@pytest.mark.parametrize(
    ("action", "delay_s"),
    [
        (Action.DOUBLE_REPLY, 0.0),
        (Action.NOISE, 0.0),
        (Action.NOISE, 0.4),
        (Action.SPLIT, 0.0),
        (Action.MERGE, 0.4),
        (Action.EEPROM, 0.0),
        (Action.GARBLE, 0.0),
    ],
)
def test_a_bad_line_never_makes_the_position_wrong(
    open_bench: OpenBench, action: Action, delay_s: float
) -> None:
    with open_bench(timeouts=SHORT) as bench:
        reach(bench, 2000.0)
        bench.twin.script(Fault(action, on_motion=1, delay_s=delay_s))
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


def test_a_replugged_line_comes_back_by_itself_but_nothing_moves(
    open_bench: OpenBench, tmp_path: Path
) -> None:
    with open_bench(link=tmp_path / "by-id") as bench:
        bench.axis.home()
        bench.axis.move_to(1000.0)
        old = bench.twin.port
        before = bench.twin.motions
        bench.twin.script(Fault(Action.REPLUG, on_motion=0))
        bench.wait_until(lambda: "it is back" in (bench.axis.snapshot().fault or ""))
        assert bench.twin.port != old
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED
        with pytest.raises(UnreferencedError):
            bench.axis.move_to(1100.0)
        assert bench.twin.motions == before
        bench.axis.home()
        bench.axis.move_to(1100.0)
        assert_true(bench, 1100.0)
        assert bench.twin.violations == []


def test_an_unplugged_line_is_looked_for_until_the_axis_is_closed(
    open_bench: OpenBench, caplog: pytest.LogCaptureFixture
) -> None:
    with open_bench() as bench:
        bench.axis.home()
        bench.twin.script(Fault(Action.UNPLUG, on_motion=0))
        bench.wait_until(lambda: "not connected yet" in caplog.text)
        assert "unplugged" in (bench.axis.snapshot().fault or "")
        with pytest.raises(LinkError, match="cannot be told to stop"):
            bench.axis.stop()


def test_other_firmware_is_named_and_refused(open_bench: OpenBench) -> None:
    refused(
        open_bench, WrongDeviceError, r"it says .*Repetier.*correct focus\.port", other="repetier"
    )


def test_a_silent_port_is_reported_as_silent(open_bench: OpenBench) -> None:
    refused(open_bench, LinkError, "nothing answers on serial port", other="silent")


def test_a_device_that_never_falls_silent_is_refused_in_time(open_bench: OpenBench) -> None:
    began = time.monotonic()
    refused(open_bench, WrongDeviceError, r"it says .*21\.5;48\.2", other="sensor")
    assert time.monotonic() - began < PATIENCE_S


def test_a_wrong_line_speed_is_worth_a_hint(open_bench: OpenBench) -> None:
    refused(open_bench, HardwareError, r"focus\.baud", baud=250000)


def test_a_board_that_does_not_reset_on_opening_is_identified(open_bench: OpenBench) -> None:
    with open_bench(resets_on_open=False) as bench:
        assert bench.identity in bench.axis.identity()
        bench.axis.home()
        bench.axis.move_to(1000.0)
        assert_true(bench, 1000.0)


def three_units_less(line: bytes) -> bytes:
    return re.sub(rb"Z(-?[0-9.]+)", lambda z: b"Z%.5f" % (float(z[1]) - 3), line)


def the_other_way(line: bytes) -> bytes:
    return line.replace(b"mr 0 0 ", b"mr 0 0 -")


@pytest.mark.parametrize(
    ("driver", "spoilt"), [("grbl", three_units_less), ("sangaboard-1", the_other_way)]
)
def test_an_order_spoilt_on_the_line_is_stopped_on_its_way(
    benches: dict[str, OpenBench],
    driver: str,
    spoilt: Callable[[bytes], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with benches[driver](scale=1.0, confirmed=True) as bench:
        bench.confirm()
        begun_um = bench.twin.motor_position_um()
        firmware = bench.twin._firmware
        receive = firmware.receive
        monkeypatch.setattr(firmware, "receive", lambda data, now: receive(spoilt(data), now))
        with pytest.raises(MotionError, match="goes elsewhere"):
            bench.axis.move_to(begun_um + 1000)
        bench.wait_until(bench.stands)
        assert begun_um - 800 < bench.twin.motor_position_um() < begun_um
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED
