"""The Sangaboard twin at byte level, both firmwares, as their sources have it."""

from dataclasses import replace
from typing import Any

import pytest
from tests.drivers.firmware_bench import FirmwareBench

from zstackd_drivers.sangaboard.firmware import SangaboardFirmware
from zstackd_drivers.sangaboard.machine import ramped
from zstackd_drivers.sangaboard.setup import SangaboardSetup

NEW: dict[str, Any] = {"blocking_moves": False}
OLD: dict[str, Any] = {"version": "0.5.1"}


class Bench(FirmwareBench):
    """A Sangaboard whose position is known."""

    def __init__(self, **changes: Any) -> None:
        setup = SangaboardSetup(travel=(0.0, 50_000.0), start=9000.0, saved=9000)
        super().__init__(SangaboardFirmware(replace(setup, **changes)))
        self.firmware.witness.trusted = True


@pytest.mark.parametrize(("changes", "version"), [(NEW, "1.0.1"), (OLD, "0.5.1")])
def test_greets_after_boot_with_its_version(changes: dict[str, Any], version: str) -> None:
    bench = Bench(**changes)
    bench.firmware.board_reset(0)
    assert bench.send("version") == []
    assert bench.wait(1.5) == [f"Sangaboard Firmware v{version}"]
    assert bench.send("version") == [f"Sangaboard Firmware v{version}"]
    assert bench.send("p?") == ["0 0 9000"]


def test_firmware_1_answers_while_it_moves() -> None:
    bench = Bench(**NEW)
    assert bench.send("mr 0 0 1000", "moving?") == ["done.", "true"]
    bench.wait(0.5)
    assert bench.send("p?") == ["0 0 9500"]
    assert bench.wait(0.6) == []
    assert bench.send("moving?", "p?") == ["false", "0 0 10000"]


def test_firmware_1_stops_dead() -> None:
    bench = Bench(**NEW)
    bench.send("mr 0 0 1000")
    bench.wait(0.25)
    assert bench.send("stop", "moving?", "p?") == ["Move aborted", "false", "0 0 9250"]
    assert bench.wait(2.0) == []


def test_firmware_1_tells_the_end_of_a_blocking_move() -> None:
    bench = Bench(blocking_moves=True)
    assert bench.send("blocking_moves?") == ["blocking_moves true"]
    assert bench.send("mr 0 0 100") == []
    assert bench.wait(0.2) == ["stopped"]
    assert bench.send("blocking_moves false") == ["done."]
    bench.wait(0.1)
    assert bench.send("mr 0 0 100") == ["done."]


def test_firmware_0_5_is_deaf_while_it_moves() -> None:
    bench = Bench(**OLD)
    assert bench.send("mr 0 0 1000", "p?") == []
    assert bench.wait(0.9) == []
    assert bench.wait(0.2) == ["done.", "0 0 10000"]
    assert bench.send("stop") == ["Type 'help' for a list of commands."]


def test_firmware_0_5_loses_what_its_buffer_does_not_hold() -> None:
    bench = Bench(**OLD)
    bench.send("mr 0 0 1000")
    bench.send(*["p?"] * 40)
    assert bench.wait(2.0).count("0 0 10000") == 21


def test_the_position_is_kept_at_the_end_of_a_move_only() -> None:
    bench = Bench(**NEW)
    bench.send("mr 0 0 500")
    bench.wait(1.0)
    bench.send("mr 0 0 1000")
    bench.wait(0.5)
    bench.firmware.board_reset(bench.now)
    bench.wait(1.5)
    assert bench.send("p?") == ["0 0 9500"]
    assert bench.firmware.motor.position(bench.now) == 10_000.0


def test_settings_are_asked_and_set() -> None:
    bench = Bench(**NEW)
    assert bench.send("dt?", "ramp_time?") == ["minimum step delay 1000", "ramp_time 0"]
    assert bench.send("dt 2000") == ["done."]
    assert bench.send("dt?") == []
    assert bench.wait(0.1) == ["minimum step delay 2000"]
    assert Bench(**OLD).send("ramp_time?") == ["ramp time 0"]


def test_modules_are_listed_to_the_end() -> None:
    assert Bench(**NEW).send("list_modules") == ["--END--"]
    assert Bench(**NEW, end_stops=("min",)).send("list_modules") == [
        "Endstops: min soft",
        "--END--",
    ]


def test_homing_meets_the_switch_twice_and_counts_from_it() -> None:
    bench = Bench(**NEW, end_stops=("min",), retreat_steps=500)
    assert bench.send("home_min") == []
    assert bench.send("home_min 4", "moving?") == ["done.", "true"]
    heard = [line for _ in range(40) for line in bench.wait(0.5)]
    assert heard.count("Endstop hit:-3") == 2
    assert bench.send("moving?", "p?") == ["false", "0 0 500"]
    assert bench.firmware.motor.position(bench.now) == 500.0


def test_firmware_0_5_answers_homing_at_its_end() -> None:
    bench = Bench(**OLD, end_stops=("min",), retreat_steps=500)
    assert bench.send("home_min 4", "p?") == []
    assert bench.wait(30.0) == ["done.", "0 0 500"]


def test_a_stop_ends_one_stage_of_homing() -> None:
    bench = Bench(**NEW, end_stops=("min",), retreat_steps=500)
    bench.send("home_min 4")
    bench.wait(1.0)
    stops = [bench.send("stop", "moving?")[1] for _ in range(4)]
    assert stops == ["true", "true", "true", "false"]


def test_zero_and_release() -> None:
    bench = Bench(**NEW)
    assert bench.send("release") == ["done"]
    assert bench.send("zero") == ["position reset to 0 0 0"]
    bench.wait(0.1)
    assert bench.send("p?") == ["0 0 0"]


def test_what_it_does_not_know() -> None:
    bench = Bench(**NEW)
    assert bench.send("", "G28")[0] == "Type 'help' for a list of commands."
    assert bench.send("mr 5") == ["Error: command is mr <int> <int> <int>"]


@pytest.mark.parametrize("steps", [1, 50, 400, 5000])
@pytest.mark.parametrize("ramp_us", [0, 200_000])
def test_a_move_takes_its_steps_and_one_ramp(steps: int, ramp_us: int) -> None:
    profile = ramped(steps, delay_us=1000, ramp_us=ramp_us)
    assert profile.duration_s == pytest.approx(steps * 1e-3 + ramp_us * 1e-6)
    assert profile.distance(profile.duration_s) == pytest.approx(steps)
