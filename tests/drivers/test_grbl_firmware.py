"""The firmware twin at byte level: GRBL 1.1h as its sources and manual describe it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.drivers.firmware_bench import FirmwareBench, S

from zstackd_drivers.firmware.motion import Mechanics, Motor
from zstackd_drivers.grbl.firmware import GrblFirmware
from zstackd_drivers.grbl.setup import GrblSetup
from zstackd_drivers.stepping.kinematics import Profile, braking, trapezoid

SETTINGS: Mapping[int, float] = {102: 1000, 112: 600, 122: 10, 132: 20}


class Bench(FirmwareBench):
    """A GRBL controller, locked as after power-up."""

    firmware: GrblFirmware

    def __init__(self, **changes: Any) -> None:
        setup = GrblSetup(travel=(-20.0, 0.0), start=-5.0, settings=SETTINGS)
        super().__init__(GrblFirmware(replace(setup, **changes)))

    def unlocked(self) -> "Bench":
        assert self.send_bytes(b"$X\n") == ["[MSG:Caution: Unlocked]", "ok"]
        return self

    def state(self) -> str:
        (report,) = self.send_bytes(b"?")
        return report[1:-1].split("|")[0]


def test_power_up_greets_after_boot_and_is_locked() -> None:
    bench = Bench()
    bench.firmware.board_reset(0)
    assert bench.wait(1.3) == []
    assert bench.send_bytes(b"$I\n") == []
    assert bench.wait(0.2) == ["", "Grbl 1.1h ['$' for help]", "[MSG:'$H'|'$X' to unlock]"]
    assert bench.send_bytes(b"G0 Z-1\n") == ["error:9"]
    assert bench.send_bytes(b"$J=G90 Z-1 F60\n") == ["error:8"]


def test_a_jog_is_under_way_when_ok_arrives() -> None:
    bench = Bench().unlocked()
    assert bench.send_bytes(b"$J=G91 G21 Z-2.5 F600\n") == ["ok"]
    assert bench.state() == "Jog"
    bench.wait(0.5)
    assert "MPos:0.000,0.000,-1.25" in bench.send_bytes(b"?")[0]
    assert "FS:300,0" in bench.send_bytes(b"?")[0]
    bench.wait(0.6)
    assert bench.state() == "Idle"
    assert bench.firmware.machine.position() == -2.5


def test_a_jog_of_less_than_a_step_stays_idle() -> None:
    bench = Bench().unlocked()
    assert bench.send_bytes(b"$J=G91 Z-0.0004 F600\n") == ["ok"]
    assert bench.state() == "Idle"


def test_realtime_bytes_act_in_mid_line() -> None:
    bench = Bench().unlocked()
    (report,) = bench.send_bytes(b"$J=G91 Z?")
    assert report.startswith("<Idle")
    assert bench.send_bytes(b"-5 F600\n") == ["ok"]
    bench.wait(0.5)
    assert bench.send_bytes(b"$\x85G\n")[-1] == "ok"
    bench.wait(0.5)
    assert bench.state() == "Idle"
    # 1.25 units on the way up to 5 units/s, as many to brake.
    assert bench.firmware.machine.position() == pytest.approx(-2.5, abs=0.002)


def test_soft_limits_refuse_a_jog() -> None:
    bench = Bench().unlocked()
    assert bench.send_bytes(b"$J=G90 G53 Z1 F60\n") == ["error:15"]
    assert bench.state() == "Idle"


def test_a_program_beyond_soft_limits_is_a_critical_alarm() -> None:
    bench = Bench().unlocked()
    assert bench.send_bytes(b"G90 G0 Z1\n") == ["ALARM:2", "ok"]
    assert bench.send_bytes(b"?\x18") == []
    assert bench.wait(0.6) == ["[MSG:Reset to continue]"]
    assert bench.send_bytes(b"?") == []
    assert bench.send_bytes(b"\x18")[1] == "Grbl 1.1h ['$' for help]"
    assert bench.state() == "Alarm"


def test_a_reset_in_motion_costs_the_position() -> None:
    bench = Bench().unlocked()
    bench.send_bytes(b"$J=G91 Z-2.5 F600\n")
    bench.wait(0.5)
    assert bench.send_bytes(b"\x18") == ["ALARM:3"]
    assert "[MSG:'$H'|'$X' to unlock]" in bench.wait(0.6)
    machine = bench.firmware.machine
    assert machine.position() != machine.motor.destination() + 5.0


def test_a_hold_waits_and_resumes() -> None:
    bench = Bench().unlocked()
    assert bench.send_bytes(b"G91 G1 Z-5 F300\n") == ["ok"]
    bench.wait(0.6)
    bench.send_bytes(b"!")
    assert bench.state() == "Hold:1"
    bench.wait(1.0)
    assert bench.state() == "Hold:0"
    assert bench.send_bytes(b"$G\n") == []
    assert bench.send_bytes(b"~")[-1] == "ok"
    bench.wait(5.0)
    assert bench.state() == "Idle"
    assert bench.firmware.machine.position() == -5.0


def test_homing_takes_time_and_answers_nothing_meanwhile() -> None:
    bench = Bench()
    assert bench.send_bytes(b"$H\n") == []
    bench.wait(0.2)
    assert bench.send_bytes(b"?") == []
    heard = bench.wait(60.0)
    assert heard[0] == "ok"
    assert heard[1].startswith("<Idle|")
    assert bench.firmware.machine.position() == -1.0
    assert bench.firmware.machine.motor.destination() == -1.0


def test_a_sender_that_does_not_wait_loses_bytes() -> None:
    heard = Bench().unlocked().send_bytes(b"G90\nx" * 50)
    assert 20 < len(heard) < 40


def test_an_eeprom_write_is_deaf() -> None:
    bench = Bench().unlocked()
    assert bench.send_bytes(b"$1=25\n") == ["ok"]
    assert bench.send_bytes(b"$G\n") == []
    bench.wait(0.1)
    assert "$1=25" in bench.send_bytes(b"$$\n")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"$J=Z1\n", 22),
        (b"$J=F60\n", 26),
        (b"$J=G91 Z-1 F60 G2\n", 16),
        (b"$q\n", 2),
        (b"$1x\n", 3),
        (b"Z--1 F1\n", 2),
        (b"G1 Z-1\n", 22),
        (b"G91 G99\n", 20),
        (b"x" * 90 + b"\n", 11),
        (b"$1=-1\n", 4),
    ],
)
def test_errors(line: bytes, error: int) -> None:
    assert Bench().unlocked().send_bytes(line) == [f"error:{error}"]


def test_comments_and_empty_lines_are_answered() -> None:
    bench = Bench().unlocked()
    assert bench.send_bytes(b"(" + b"x" * 90 + b")\n; G1 Z5\n\r\n") == ["ok"] * 4
    assert bench.send_bytes(b"g 91 (relative) / $x\r") == ["error:2"]


def test_soft_limits_need_homing() -> None:
    bench = Bench(settings={**SETTINGS, 20: 0, 22: 0})
    assert bench.send_bytes(b"$20=1\n") == ["error:10"]
    assert bench.send_bytes(b"$H\n") == ["error:5"]


def test_motion_on_an_unknown_position_is_a_violation() -> None:
    bench = Bench(settings={**SETTINGS, 20: 0, 22: 0})
    bench.send_bytes(b"$J=G91 Z-1 F60\n")
    assert "unknown position" in bench.firmware.witness.violations[0]
    bench.wait(10.0)
    bench.send_bytes(b"$X\n$J=G91 Z-100 F60\n")
    assert "beyond" in bench.firmware.witness.violations[1]


def brisk(distance: float) -> Profile:
    return trapezoid(distance=distance, speed=5.0, acceleration=10.0)


@pytest.mark.parametrize("engaged", ["up", "down"])
def test_the_specimen_lags_behind_on_reversal(engaged: Any) -> None:
    motor = Motor(mechanics=Mechanics(1000.0, 0.0, 8.0, engaged), steps_per_unit=1000, start=0.0)
    sign = 1 if engaged == "up" else -1

    def visit(target_um: float) -> float:
        motor.go(sign * target_um / 1000, profile=brisk, at_ns=motor.end_ns)
        return sign * motor.specimen_um(motor.end_ns)

    assert [visit(z) for z in (100, 95, 80, 85, 92)] == [100, 100, 88, 88, 92]


def test_the_past_can_be_asked() -> None:
    motor = Motor(mechanics=Mechanics(1000.0, 0.0, 0.0), steps_per_unit=1000, start=0.0)
    motor.go(2.5, profile=brisk, at_ns=S)
    motor.go(0.0, profile=brisk, at_ns=S)
    half = S + S // 2
    assert motor.specimen_um(0) == 0.0
    assert motor.specimen_um(half) == pytest.approx(1250.0, abs=1.0)
    assert motor.specimen_um(2 * S) == pytest.approx(2500.0)
    assert motor.specimen_um(3 * S) == pytest.approx(0.0)


def test_profiles_cover_the_distance() -> None:
    long = trapezoid(distance=10.0, speed=2.0, acceleration=4.0)
    assert long.duration_s == pytest.approx(10.0 / 2.0 + 2.0 / 4.0)
    assert long.distance(long.duration_s) == pytest.approx(10.0)
    assert long.speed(1.0) == 2.0
    short = trapezoid(distance=0.25, speed=2.0, acceleration=4.0)
    assert short.duration_s == pytest.approx(0.5)
    assert braking(speed=2.0, acceleration=4.0).distance(9.0) == pytest.approx(0.5)
