"""The Marlin twin at byte level: queue, line numbers, busy, quick stop, kill, as in its sources."""

from dataclasses import replace
from typing import Any

import pytest
from tests.drivers.firmware_bench import FirmwareBench

from zstackd_drivers.marlin.firmware import MarlinFirmware
from zstackd_drivers.marlin.protocol import numbered
from zstackd_drivers.marlin.setup import MarlinSetup

KILLED = "Error:Printer halted. kill() called!"


class Bench(FirmwareBench):
    """A Marlin whose position is known."""

    def __init__(self, **changes: Any) -> None:
        setup = MarlinSetup(travel=(0.0, 20.0), start=5.0, home="low")
        super().__init__(MarlinFirmware(replace(setup, **changes)))
        self.firmware.witness.trusted = True

    def z(self) -> str:
        line = self.send("M114")[0]
        return line.split(" E:")[0].split("Z:")[1]

    def count(self) -> int:
        return int(self.send("M114")[0].rsplit("Z:", 1)[1])


def test_power_up_greets_after_boot_and_hears_nothing_before() -> None:
    bench = Bench()
    bench.firmware.board_reset(0)
    assert bench.send("M115") == []
    assert bench.wait(1.3) == []
    greeting = bench.wait(0.2)
    assert greeting[0] == "start"
    assert any(line.startswith("Marlin 2") for line in greeting)
    assert bench.send("M115")[0].startswith("FIRMWARE_NAME:Marlin 2")


def test_a_motion_is_answered_when_queued_and_m400_when_it_ended() -> None:
    bench = Bench()
    assert bench.send("G90", "G1 Z4 F240") == ["ok", "ok"]
    assert bench.send("M400") == []
    assert bench.wait(0.9) == []
    assert bench.wait(0.3) == ["ok"]
    assert bench.z() == "4.00"
    assert bench.count() == 1600
    assert bench.firmware.motor.position(bench.now) == 9.0


def test_m114_tells_the_target_while_it_moves_unless_it_is_old() -> None:
    assert Bench().send("G1 Z4 F240", "M114") == [
        "ok",
        "X:0.00 Y:0.00 Z:4.00 E:0.00 Count X:0 Y:0 Z:1600",
        "ok",
    ]
    old = Bench(legacy=True)
    assert old.send("G1 Z4 F240", "M114") == ["ok"]
    assert old.wait(1.2)[-1] == "ok"


def test_it_says_that_it_is_busy_every_two_seconds() -> None:
    bench = Bench()
    bench.send("G1 Z8 F60", "M400")
    heard = [line for _ in range(9) for line in bench.wait(1.0)]
    assert heard == ["echo:busy: processing"] * 4 + ["ok"]


@pytest.mark.parametrize("keepalive_s", [0.0, None])
def test_one_without_keepalive_says_nothing_while_it_is_busy(keepalive_s: float | None) -> None:
    bench = Bench(keepalive_s=keepalive_s)
    bench.send("G1 Z8 F60", "M400")
    assert [line for _ in range(9) for line in bench.wait(1.0)] == ["ok"]


def test_m113_sets_and_tells_how_often_it_says_that_it_is_busy() -> None:
    bench = Bench(keepalive_s=0.0)
    assert bench.send("M113") == ["echo:M113 S0", "ok"]
    assert bench.send("M113 S3", "M113") == ["ok", "echo:M113 S3", "ok"]
    assert bench.send("M113 S99", "M113") == ["ok", "echo:M113 S60", "ok"]
    assert Bench(keepalive_s=None).send("M113 S2") == ['echo:Unknown command: "M113"', "ok"]


def test_relative_moves_add_up() -> None:
    bench = Bench()
    bench.send("G91", "G1 Z1 F240", "G1 Z1", "M400")
    bench.wait(2.0)
    assert bench.z() == "2.00"


def test_homing_takes_time_and_sets_the_position() -> None:
    bench = Bench()
    assert bench.send("G28 Z") == []
    heard = bench.wait(4.0)
    assert heard[-1] == "ok"
    assert bench.z() == "0.00"
    assert bench.firmware.motor.position(bench.now) == 0.0


def test_soft_end_stops_clamp_silently_once_homed() -> None:
    bench = Bench()
    bench.send("G28 Z")
    bench.wait(4.0)
    assert bench.send("G1 Z99 F240") == ["ok"]
    assert bench.z() == "20.00"
    bench.send("M211 S0", "G1 Z-3 F240")
    assert bench.z() == "-3.00"


def test_quick_stop_overtakes_what_waits() -> None:
    bench = Bench(jerk=10.0)
    bench.send("G1 Z8 F240", "M400")
    bench.wait(0.5)
    assert bench.send("M410") == ["ok", "ok"]
    stopped_at = bench.firmware.motor.position(bench.now)
    assert 6.0 < stopped_at < 8.0
    assert bench.count() == round((stopped_at - 5.0) * 400)
    assert bench.firmware.witness.trusted


def test_quick_stop_from_speed_costs_steps() -> None:
    bench = Bench(jerk=0.3)
    bench.send("G1 Z8 F240")
    bench.wait(0.5)
    bench.send("M410")
    assert bench.count() != round((bench.firmware.motor.position(bench.now) - 5.0) * 400)
    assert not bench.firmware.witness.trusted


@pytest.mark.parametrize("line", ["M112", "M410"])
def test_what_ends_homing_halts_it_until_a_reset(line: str) -> None:
    bench = Bench()
    bench.send("G28 Z")
    bench.wait(0.5)
    assert KILLED in bench.send(line)
    assert bench.wait(5.0) == []
    assert bench.send("M115") == []
    bench.firmware.board_reset(bench.now)
    assert "start" in bench.wait(1.5)


def test_numbered_lines_must_fit() -> None:
    bench = Bench()
    assert bench.send(numbered(1, "G90")) == ["ok"]
    refused = ["Error:Line Number is not Last Line Number+1, Last Line: 1", "Resend: 2"]
    assert bench.send(numbered(3, "G90")) == refused
    spoilt = numbered(2, "G1 Z5").replace("Z5", "Z6")
    assert bench.send(spoilt) == ["Error:checksum mismatch, Last Line: 1", "Resend: 2"]
    assert bench.send("N2 G90")[0].startswith("Error:No Checksum with line number")
    assert bench.send(numbered(2, "G1 Z5 F240")) == ["ok"]
    assert bench.send("M110 N7", numbered(8, "G90")) == ["ok", "ok"]
    assert bench.firmware.witness.motions == 1


def test_old_versions_answer_ok_after_resend() -> None:
    assert Bench(legacy=True).send(numbered(5, "G90"))[-2:] == ["Resend: 1", "ok"]


def test_a_sender_that_does_not_wait_loses_bytes() -> None:
    bench = Bench()
    bench.send("G28 Z")
    bench.send(*["G90"] * 60)
    oks = [line for line in bench.wait(5.0) if line == "ok"]
    assert 30 < len(oks) < 40


def test_a_stall_is_busy_for_ever() -> None:
    bench = Bench()
    bench.send("G1 Z8 F240", "M400")
    bench.wait(0.5)
    bench.firmware.stall()
    heard = bench.wait(10.0)
    assert "ok" not in heard
    assert "echo:busy: processing" in heard


def test_unknown_commands_are_answered() -> None:
    assert Bench().send("M9999") == ['echo:Unknown command: "M9999"', "ok"]
    assert Bench(advanced_ok=True).send("G90") == ["ok P15 B4"]


def test_motion_on_an_unknown_position_is_a_violation() -> None:
    bench = Bench()
    bench.firmware.witness.trusted = False
    bench.send("G1 Z1 F240")
    assert "unknown position" in bench.firmware.witness.violations[0]
    bench.firmware.witness.trusted = True
    bench.send("G1 Z99 F240")
    assert "beyond" in bench.firmware.witness.violations[1]
