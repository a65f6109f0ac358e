"""The doctor's judgement of the computer, the folders and the devices."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from tests.rigs import simulated_rig
from tests.users import ordinary_user

from zstackd.commands.doctor import doctor
from zstackd.doctor.devices import devices
from zstackd.doctor.diagnosis import Diagnosis, Level
from zstackd.doctor.folders import folders
from zstackd.doctor.machine import cma, memory, power, temperature
from zstackd.doctor.named_files import named_files
from zstackd.store.spool import Spool
from zstackd_config.load import load_rig
from zstackd_config.rig import Paths
from zstackd_drivers.clock import SystemClock
from zstackd_drivers.grbl.setup import GrblSetup
from zstackd_drivers.grbl.twin import GrblTwin


@pytest.mark.parametrize(
    ("throttled", "level", "words"),
    [
        ("throttled=0x0", Level.OK, "no under-voltage"),
        ("throttled=0x50000", Level.WARN, "under-voltage since it started, it was throttled"),
        ("throttled=0x50005", Level.FAIL, "under-voltage now, throttled now"),
        ("nonsense", Level.WARN, "vcgencmd answers 'nonsense'"),
    ],
)
def test_power_is_read_from_the_bits(throttled: str, level: Level, words: str) -> None:
    judged = power(throttled)
    assert judged is not None
    assert judged.level is level
    assert words in judged.finding


def test_what_is_not_there_is_not_judged(tmp_path: Path) -> None:
    assert power(None) is None
    assert temperature(None) is None
    assert cma(tmp_path / "none") is None
    (tmp_path / "meminfo").write_text("MemTotal: 8 kB\n")
    assert cma(tmp_path / "meminfo") is None


def test_little_camera_memory_is_warned_of(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("CmaTotal:  32768 kB\nCmaFree:  1024 kB\n")
    judged = cma(meminfo)
    assert judged is not None
    assert judged.level is Level.WARN
    assert "cma-256" in judged.remedy
    meminfo.write_text("CmaTotal:  262144 kB\nCmaFree:  200000 kB\n")
    assert cma(meminfo) == Diagnosis(
        "camera memory", Level.OK, "205 MB of 268 MB contiguous memory free"
    )


def test_little_memory_and_heat_are_warned_of() -> None:
    assert memory(100 * 2**20).level is Level.WARN
    assert memory(4 * 2**30).level is Level.OK
    hot = temperature(84.0)
    assert hot is not None
    assert hot.level is Level.WARN


def test_folders_are_judged_by_writing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    lines = folders(Paths(state=state, output=tmp_path / "output"))
    assert [(line.subject, line.level) for line in lines if line.subject == "output folder"] == [
        ("output folder", Level.WARN)
    ]
    assert any("per second" in line.finding for line in lines)
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("below", ["", "a/b"])
def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("no folder")
    paths = Paths(state=tmp_path / "file" / below, output=tmp_path / "made" / "later")
    state, output = folders(paths)
    assert (state.level, output.level) == (Level.FAIL, Level.WARN)
    assert f"cannot be made: {tmp_path / 'file'} is no folder" in state.finding


def test_a_folder_cannot_be_made_where_nobody_may_write(open_to_all: Path) -> None:
    with ordinary_user():
        state, _ = folders(Paths(state=open_to_all / "a/state", output=open_to_all / "output"))
    assert state.level is Level.FAIL
    assert f"{open_to_all} is not writable" in state.finding


@pytest.mark.skipif(os.geteuid() != 0, reason="being two users takes root")
@pytest.mark.parametrize(("service", "level"), [("root", Level.WARN), ("", Level.FAIL)])
def test_a_folder_of_the_service_user_need_not_be_writable_for_others(
    open_to_all: Path, monkeypatch: pytest.MonkeyPatch, service: str, level: Level
) -> None:
    open_to_all.chmod(0o755)
    monkeypatch.setattr("zstackd.doctor.folders.answer", lambda _: service)
    with ordinary_user():
        line = folders(Paths(state=open_to_all, output=open_to_all.with_name("none")))[0]
    assert line.level is level
    if level is Level.WARN:
        assert "belongs to root, the user of the service" in line.finding
        assert "sudo -u root zstackd doctor" in line.remedy


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that all may enter and look at, and only root may write to."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        yield Path(name)


def rig_file(tmp_path: Path, **focus: Any) -> Path:
    rig = simulated_rig(
        camera={"size_px": [64, 48]},
        focus={"limits_um": [-400, 700], "speed_um_per_s": 5000, "settle_ms": 150, **focus},
        simulation={"time_scale": 50},
    )
    path = tmp_path / "rig.yaml"
    path.write_text(yaml.safe_dump(rig))
    return path


def test_a_healthy_rig_is_named_and_left_alone(tmp_path: Path) -> None:
    lines = devices(load_rig(rig_file(tmp_path)))
    assert {line.level for line in lines} == {Level.OK}
    assert "VER:1.1" in lines[0].finding
    assert lines[-1].finding.startswith("simulated: ")
    assert not (tmp_path / "state").exists()


def test_a_rig_that_should_home_and_cannot_fails(tmp_path: Path) -> None:
    rig = load_rig(rig_file(tmp_path))
    suits = GrblSetup.from_rig(rig.focus, rig.simulation)
    setup = replace(suits, settings={**suits.settings, 20: 0, 22: 0})
    with GrblTwin(setup=setup, clock=SystemClock()) as twin:
        lines = devices(load_rig(rig_file(tmp_path, port=twin.port)))
    (said,) = (line for line in lines if line.subject == "focus position")
    assert said.level is Level.FAIL
    assert said.finding.startswith("no run can begin: it cannot home, $22=0; fit a limit switch")


def test_a_missing_port_fails_and_the_camera_is_still_looked_at(tmp_path: Path) -> None:
    lines = devices(load_rig(rig_file(tmp_path, port="/dev/serial/by-id/none")))
    assert [(line.subject, line.level) for line in lines] == [
        ("focus axis", Level.FAIL),
        ("camera", Level.OK),
    ]
    assert "does not exist: plug the controller in" in lines[0].finding


@pytest.mark.parametrize(
    ("program", "level", "said"),
    [
        ("sh", Level.OK, "sh: a program"),
        ("/nowhere/program", Level.FAIL, "/nowhere/program is no file"),
        ("no-such-program", Level.FAIL, "no-such-program is not there"),
        (__file__, Level.FAIL, "is not executable"),
    ],
)
def test_the_program_of_a_hook_is_looked_for(
    tmp_path: Path, program: str, level: Level, said: str
) -> None:
    path = rig_file(tmp_path)
    rig = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**rig, "service": {"on_failed": {"command": [program]}}}))
    (line,) = named_files(load_rig(path))
    assert (line.subject, line.level) == ("on_failed", level)
    assert said in line.finding
    assert bool(line.remedy) == (level is Level.FAIL)


def test_a_token_file_is_looked_into(tmp_path: Path) -> None:
    path = rig_file(tmp_path)
    rig = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**rig, "api": {"tcp": {"port": 0, "token_file": "token"}}}))
    (line,) = named_files(load_rig(path))
    assert line.level is Level.FAIL
    assert "token: the token cannot be read: No such file or directory; make one" in line.finding
    (tmp_path / "token").write_text("abcdefgh" * 4)
    (tmp_path / "token").chmod(0o640)
    assert [line.level for line in named_files(load_rig(path))] == [Level.OK]


def test_a_rig_in_use_is_not_touched(tmp_path: Path) -> None:
    rig = load_rig(rig_file(tmp_path))
    with Spool(rig.paths.state):
        (line,) = devices(rig)
    assert line.level is Level.WARN
    assert "something else uses the rig" in line.finding


class StartingService:
    """The client of a service that is starting for as many looks as there are states."""

    def __init__(self, *states: str) -> None:
        self._states = list(states)

    def __enter__(self) -> "StartingService":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get(self, _: str) -> dict[str, str]:
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        return {"state": state, "why": "opening the rig"}


@pytest.mark.parametrize(
    ("states", "level", "said"),
    [
        (("starting", "starting", "idle"), Level.OK, "is idle"),
        (("starting", "degraded"), Level.FAIL, "is degraded"),
        (("starting",), Level.WARN, "is starting: opening the rig"),
    ],
)
def test_a_service_that_is_starting_is_waited_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    states: tuple[str, ...],
    level: Level,
    said: str,
) -> None:
    service = StartingService(*states)
    monkeypatch.setattr("zstackd.doctor.devices.client_of", lambda _: service)
    monkeypatch.setattr("zstackd.doctor.devices.STARTING_S", 0.5)
    rig = load_rig(rig_file(tmp_path))
    with Spool(rig.paths.state):
        (line,) = devices(rig)
    assert line.level is level
    assert said in line.finding


def test_the_command_prints_json_and_fails_on_a_bad_rig(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(rig_file(tmp_path), as_json=True) == 0
    lines = json.loads(capsys.readouterr().out)
    assert {"subject", "level", "finding", "remedy"} == set(lines[0])
    assert doctor(rig_file(tmp_path, backlash_um=-1), as_json=False) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("fail  configuration")
    assert "focus.backlash_um" in printed
