"""What is GRBL's own: its settings, its quirks, firmware that is not GRBL, ports that are not."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.drivers.conftest import refused
from tests.users import ordinary_user

from zstackd_config.focus import GrblFocus
from zstackd_drivers.axis import Reference
from zstackd_drivers.clock import SystemClock
from zstackd_drivers.controllers import make_axis
from zstackd_drivers.errors import (
    LimitError,
    LinkError,
    MotionError,
    NoHomingError,
    WrongDeviceError,
)
from zstackd_drivers.factory import reference_axis
from zstackd_drivers.firmware.faults import Action, Fault
from zstackd_drivers.firmware.pty_port import PtyPort
from zstackd_drivers.serial.dialogue import Timeouts
from zstackd_drivers.serial.port_search import NamedPort

if TYPE_CHECKING:
    from tests.drivers.conftest import OpenBench

pytestmark = pytest.mark.usefixtures("no_leaks")
IMPATIENT = Timeouts(reply_s=0.2, handshake_s=6.0, quiet_s=0.015)
FOCUS = GrblFocus(
    driver="grbl",
    port="/dev/null",
    limits_um=(0.0, 100.0),
    backlash_um=1.0,
    speed_um_per_s=100.0,
    settle_ms=0.0,
)


def open_port(port: Path | str) -> None:
    with make_axis(FOCUS, port=NamedPort(str(port)), clock=SystemClock()):
        pass


def test_a_port_that_does_not_exist(tmp_path: Path) -> None:
    port = tmp_path / "ttyUSB9"
    with pytest.raises(LinkError, match=f"{port} does not exist: plug the controller in"):
        open_port(port)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "notes.txt",
            r"notes\.txt is no serial port: correct focus\.port \(ls -l /dev/serial/by-id",
        ),
        ("/dev/null", "^/dev/null is no serial port: correct"),
        (".", r"cannot be opened as a serial port \(Is a directory\): correct focus\.port$"),
    ],
)
def test_a_port_that_is_no_serial_port(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "notes.txt").write_text("no port")
    with pytest.raises(LinkError, match=said):
        open_port(tmp_path / name)


def test_no_permission_names_the_group_of_the_device() -> None:
    with closing(PtyPort()) as port:
        port.open()
        Path(port.name).chmod(0)
        group = Path(port.name).group()
        with ordinary_user(), pytest.raises(LinkError, match="no permission") as caught:
            open_port(port.name)
    assert f"serial port {port.name}: it belongs to group {group}; add the user" in str(
        caught.value
    )


@pytest.mark.parametrize(("other", "words"), [("repetier", "Repetier"), ("grbl-0.9", r"0\.9j")])
def test_other_firmware_is_named_and_refused(grbl_bench: OpenBench, other: str, words: str) -> None:
    refused(grbl_bench, WrongDeviceError, rf"not GRBL 1\.1: it says .*{words}", other=other)


def test_a_blank_eeprom_talks_before_the_banner(grbl_bench: OpenBench) -> None:
    with grbl_bench(blank_eeprom=True) as bench:
        bench.axis.home()
        assert bench.axis.move_to(1000.0).reported_um == pytest.approx(1000.0, abs=1.0)


@pytest.mark.parametrize("tells_work_positions", [False, True])
def test_a_workspace_offset_moves_no_plane(
    grbl_bench: OpenBench, tells_work_positions: bool
) -> None:
    with grbl_bench(settings={10: 2 if tells_work_positions else 3}, work_offset=-1.5) as bench:
        bench.axis.home()
        for z in (1000.0, 4000.0):
            assert bench.axis.move_to(z).reported_um == pytest.approx(z, abs=1.0)
            assert bench.twin.motor_position_um() == pytest.approx(z, abs=0.25)


@pytest.mark.parametrize(("steps_per_unit", "stands_um"), [(400.0, 1002.5), (4000.0, 1002.25)])
def test_where_a_plane_was_is_told_to_the_motor_step(
    grbl_bench: OpenBench, steps_per_unit: float, stands_um: float
) -> None:
    with grbl_bench(settings={102: steps_per_unit}) as bench:
        bench.axis.home()
        report = bench.axis.move_to(1002.3)
        assert report.z_um == pytest.approx(stands_um, abs=1e-6)
        assert report.z_um != pytest.approx(report.reported_um, abs=1e-3)
        assert bench.axis.snapshot().position_um == report.z_um
        assert bench.twin.motor_position_um() == pytest.approx(report.z_um, abs=1e-6)


def test_jogs_below_what_grbl_reports_add_up(grbl_bench: OpenBench) -> None:
    with grbl_bench() as bench:
        bench.axis.home()
        bench.axis.move_to(1000.0)
        for _ in range(8):
            bench.axis.move_to((bench.axis.snapshot().position_um or 0.0) + 0.3)
        assert bench.twin.motor_position_um() == pytest.approx(1002.0, abs=1e-6)


def test_a_motion_that_nobody_asked_for_is_noticed(grbl_bench: OpenBench) -> None:
    with grbl_bench() as bench:
        bench.axis.home()
        bench.axis.move_to(2000.0)
        before = bench.twin.motions
        bench.axis._controller._talk.write(b"$J=G91 G21 Z0.003 F500\n")  # type: ignore[attr-defined]
        bench.wait_until(lambda: bench.twin.motions > before and bench.stands())
        with pytest.raises(MotionError, match="stood at 2000 µm and is now at 2003 µm"):
            bench.axis.move_to(2500.0)
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED
        assert bench.twin.motions == before + 1


def test_an_axis_that_still_moves_is_not_sent_anywhere(grbl_bench: OpenBench) -> None:
    """Even where its position gives nothing away, for which a busy machine gets more tries."""
    said = [refusal_of_a_moving_axis(grbl_bench)]
    while len(said) < 10 and "is now at 2000 µm" not in said[-1]:
        said.append(refusal_of_a_moving_axis(grbl_bench))
    assert "stood at 2000 µm and is now at 2000 µm (Jog) without being told" in said[-1]


def refusal_of_a_moving_axis(grbl_bench: OpenBench) -> str:
    with grbl_bench(scale=1.0, confirmed=True, resets_on_open=False) as bench:
        bench.confirm(2000.0)
        before = bench.twin.motions
        # GRBL moves no slower: half a micrometre takes 30 ms.
        bench.axis._controller._talk.write(b"$J=G91 G21 Z1 F1\n")  # type: ignore[attr-defined]
        bench.wait_until(lambda: bench.twin.motions > before)
        with pytest.raises(MotionError, match=r"\(Jog\) without being told") as caught:
            bench.axis.move_to(2500.0)
        assert bench.twin.motions == before + 1
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED
        return str(caught.value)


@pytest.mark.parametrize("scale", [4.0])
def test_a_jog_that_does_not_brake_is_ended_by_a_reset(grbl_bench: OpenBench, scale: float) -> None:
    hurried = replace(IMPATIENT, margin_s=0.3)
    with grbl_bench(scale=scale, confirmed=True, timeouts=hurried, brakes=False) as bench:
        bench.confirm(0.0)
        (error,) = bench.stopped_move(4900.0)
        assert isinstance(error, MotionError)
        assert "did not brake within" in str(error)
        assert bench.stands()
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED


@pytest.mark.parametrize(("number", "value"), [(13, 1), (122, 0)])
def test_settings_that_cannot_work_are_refused(
    grbl_bench: OpenBench, number: int, value: float
) -> None:
    with pytest.raises(WrongDeviceError, match=rf"\${number}="):
        grbl_bench(settings={number: value}).__enter__()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({1: 25}, "send the controller $1=255"),
        ({20: 0}, "$20=0: the controller does not know where its travel ends"),
        ({102: 8000}, "its reports tell 1 µm, its steps are 0.125 µm"),
        ({112: 6}, "$112=6 allows 100 µm/s"),
        ({132: 2}, "$132=2 allows 2000 µm: some moves will be refused"),
        ({22: 0, 20: 0}, "$22=0: it cannot home"),
    ],
)
def test_settings_that_are_worth_a_warning(
    grbl_bench: OpenBench,
    caplog: pytest.LogCaptureFixture,
    settings: dict[int, float],
    words: str,
) -> None:
    with caplog.at_level(logging.WARNING), grbl_bench(settings=settings):
        assert words in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING), grbl_bench():
        assert caplog.text == ""


@pytest.mark.parametrize(
    ("focus", "words"),
    [
        ({"origin_um": 0.0}, "reach from Z 0 to 5 units, but with the switch at 0 ($23) $132="),
        ({"reference": "confirm"}, "$20=1: without homing the controller counts its travel from"),
        ({"speed_um_per_s": 5.0}, "GRBL moves no slower than 1 unit/min, 16.6667 µm/s"),
    ],
)
def test_a_rig_that_does_not_suit_the_controller(
    grbl_bench: OpenBench, caplog: pytest.LogCaptureFixture, focus: dict[str, Any], words: str
) -> None:
    shipped = {20: 1, 23: 0, 24: 30, 25: 120, 112: 120}
    with caplog.at_level(logging.WARNING), grbl_bench(focus_changes=focus, settings=shipped):
        (said,) = caplog.messages
        assert words in said


@pytest.mark.parametrize(
    ("travel", "origin_um", "words"),
    [
        ((0.0, 6.0), 0.0, None),
        ((0.0, 6.0), -500.0, None),
        ((0.0, 6.0), 6000.0, "reach from Z -6 to -1 units, but with the switch at the bottom, 0 "),
        ((0.0, 6.0), -2000.0, "$132=6 leaves 0 to 6: correct focus.origin_um or limits_um"),
        ((-6.0, 0.0), 6000.0, None),
        ((-6.0, 0.0), 0.0, "from Z 0 to 5 units, but with the switch at the bottom, -6 ($23) "),
    ],
)
def test_limits_beyond_a_travel_whose_switch_is_at_the_bottom(
    grbl_bench: OpenBench,
    caplog: pytest.LogCaptureFixture,
    travel: tuple[float, float],
    origin_um: float,
    words: str | None,
) -> None:
    changes: dict[str, Any] = {"travel": travel, "home": "low", "settings": {23: 4, 132: 6}}
    changes["start"] = travel[0] + 2.0
    with (
        caplog.at_level(logging.WARNING),
        grbl_bench(focus_changes={"origin_um": origin_um}, **changes),
    ):
        assert len(caplog.messages) == (0 if words is None else 1)
        assert words is None or words in caplog.messages[0]


def test_homing_that_is_not_enabled_is_refused_and_nothing_moves(grbl_bench: OpenBench) -> None:
    with grbl_bench(settings={22: 0, 20: 0}) as bench:
        with pytest.raises(NoHomingError, match=r"cannot home: \$22=0"):
            reference_axis(bench.axis, bench.focus)
        bench.confirm(2000.0)
        reference_axis(bench.axis, bench.focus)
        bench.axis.move_to(2100.0)
        assert bench.twin.violations == []


def test_homing_that_fails_says_why(grbl_bench: OpenBench) -> None:
    with grbl_bench(home_fails=True) as bench:
        with pytest.raises(MotionError, match="ALARM:9, homing did not find the limit switch"):
            bench.axis.home()
        assert bench.axis.snapshot().reference is Reference.UNREFERENCED


def test_the_controllers_soft_limits_refuse_before_motion(grbl_bench: OpenBench) -> None:
    with grbl_bench() as bench:
        bench.confirm(0.0)
        with pytest.raises(LimitError, match="error:15"):
            bench.axis.move_to(4900.0)
        assert bench.axis.snapshot().reference is Reference.REFERENCED


def test_a_motion_found_at_opening_is_ended(grbl_bench: OpenBench) -> None:
    with grbl_bench(resets_on_open=False) as bench:
        bench.axis.home()
        bench.close_for(b"$J=G90 G21 Z-6 F1\n", until=lambda: bench.twin.motions > 0)
        with bench.axis:
            assert bench.stands()


def test_a_controller_that_falls_silent_in_mid_move_is_stopped(grbl_bench: OpenBench) -> None:
    with grbl_bench(scale=1.0, confirmed=True, timeouts=IMPATIENT) as bench:
        bench.confirm(0.0)
        before_um = bench.twin.motor_position_um()
        bench.twin.script(Fault(Action.SILENCE, on_motion=1, delay_s=0.02))
        with pytest.raises(LinkError, match="no status report"):
            bench.axis.move_to(4900.0)
        bench.wait_until(bench.stands)
        assert bench.twin.motor_position_um() < before_um + 2500.0
