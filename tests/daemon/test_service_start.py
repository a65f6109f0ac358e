"""What a start loads, and one that is stopped before it was done."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from zstackd.service.series import SeriesKeeper
from zstackd.service.service import Service
from zstackd.store.journal import Journal
from zstackd.store.run_state import RunState
from zstackd_config.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.daemon.conftest import Lodging

    from zstackd.service.backlog import Job
    from zstackd.service.house import House

SIMULATED = {"zstackd_drivers.simulated.camera_twin", "numpy.random"}
UNUSED = {"httpx", "rich", "pygments", "trimesh", "numpy.ma"} | SIMULATED
"""What clients, few runs or simulated rigs need; loaded, it would stay in memory for months."""


def modules_after(module: str) -> list[str]:
    """What is loaded once that module is."""
    command = [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_the_service_loads_nothing_that_only_others_need() -> None:
    loaded = set(modules_after("zstackd.commands.serve"))
    assert "zstackd.service.service" in loaded
    assert not UNUSED & loaded


@pytest.mark.parametrize(
    "command",
    ["status", "list", "show", "watch", "logs", "submit", "cancel", "pause", "resume", "reload"],
)
def test_a_command_that_asks_the_service_loads_little(command: str) -> None:
    loaded = set(modules_after(f"zstackd.commands.{command}"))
    assert "zstackd.api.client" in loaded
    assert not {"numpy", "cv2", "useq", "pydantic"} & loaded


def test_a_stack_of_files_loads_little() -> None:
    loaded = set(modules_after("zstackd.stack_command.request"))
    assert "cv2" in loaded
    assert not {"useq", "pydantic", "yaml", "httpx", "typer", "tifffile", "trimesh"} & loaded


def test_a_stop_does_not_wait_for_a_full_spool_to_be_read(lodging: Lodging) -> None:
    first, second = lodging.accept(), lodging.accept()
    house = lodging.house
    house.stop.request("stopped by SIGTERM")
    Service(house).run(lambda: pytest.fail("opened after the stop"))
    assert house.backlog.waiting() == []
    assert [run.folder for run in house.spool.open_runs()] == [first, second]


def started(house: House) -> list[Job]:
    """Start a service, and return what is in its queue then."""
    waiting: list[Job] = []

    def opened() -> None:
        waiting.extend(house.backlog.waiting())
        house.stop.request("seen enough")

    Service(house).run(opened)
    return waiting


def test_a_restart_forgets_neither_priority_nor_time(lodging: Lodging) -> None:
    house, at = lodging.house, datetime(2100, 1, 1, tzinfo=UTC)
    usual = lodging.accept()
    later = house.spool.accept_text(b"name: x", name="later", priority=7, not_before=at.isoformat())
    point = house.spool.accept_text(
        b"{name: x, z_plan: {absolute: [0]}, when_late: skip, late_after_s: 30, priority: 3,"
        b" time_plan: {interval: 60, loops: 9}}",
        name="point", priority=3, due=at.isoformat(),
    )  # fmt: skip
    waiting = started(house)
    seconds = at.timestamp()
    assert [(job.folder, job.priority, job.ready_at) for job in waiting] == [
        (later, 7, seconds),
        (point, 3, 0.0),
        (usual, 0, 0.0),
    ]
    assert (waiting[1].due_at, waiting[1].skip_after) == (seconds, seconds + 30)


ACCEPTED = '{"at": "2026-11-28T08:00:00.000+00:00", "event": "accepted", "run": "x", "name": "n"'
BEGUN = ACCEPTED + '}\n{"at": "2026-11-28T08:00:00.000+00:00", "event": "started"}\n'
SPOILT = {
    "empty": b"",
    "zeros": b"\0" * 4096,
    "bytes": bytes(range(256)) * 4,
    "beheaded": b'{"at": "", "event": "plane", "plane": 3}\n',
    "not_before": f'{ACCEPTED}, "not_before": "soon"}}'.encode(),
    "priority": f'{ACCEPTED}, "priority": null}}'.encode(),
    "due": f'{ACCEPTED}, "due": 7}}'.encode(),
    "frame": f'{BEGUN}{{"event": "frame", "index": 0}}\n'.encode(),
    "plan": f'{BEGUN}{{"event": "planned", "camera": 7}}\n'.encode(),
    "foreground": (
        f'{ACCEPTED}, "foreground": true}}\n{{"event": "frame"}}\n{{"event": "started"}}\n'
    ).encode(),
}


@pytest.mark.parametrize("journal", SPOILT.values(), ids=SPOILT)
def test_a_damaged_journal_ends_its_run_and_keeps_no_other(
    lodging: Lodging, caplog: pytest.LogCaptureFixture, journal: bytes
) -> None:
    house, run, sound = lodging.house, lodging.accept(), lodging.accept()
    run.journal.write_bytes(journal)
    waiting = started(house)
    assert [job.folder for job in waiting] == [sound]
    found = house.catalogue.get(run.run_id)
    assert found is not None
    assert (found.state, str(run.request) in str(found.reason)) == (RunState.FAILED, True)
    assert f"{run.run_id}: failed: its journal is damaged" in caplog.text
    assert run not in [each.folder for each in house.spool.open_runs()]


def test_a_journal_that_cannot_be_read_or_written_keeps_no_other(
    lodging: Lodging, caplog: pytest.LogCaptureFixture
) -> None:
    house, unreadable, unwritable, sound = lodging.house, *(lodging.accept() for _ in range(3))
    unreadable.journal.unlink()
    unreadable.journal.mkdir()
    unwritable.journal.write_text(f'{ACCEPTED}, "foreground": true}}\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "__enter__", refusing(unwritable.journal))
        waiting = started(house)
    assert [job.folder for job in waiting] == [sound]
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert said == [
        f"{unreadable.run_id}: left alone: its journal cannot be read: Is a directory",
        f"{unwritable.run_id}: left alone: it is root's",
    ]


def refusing(path: Path) -> Callable[[Journal], Journal]:
    """Return how a journal is entered where one of them is another user's."""
    enter = Journal.__enter__

    def entered(journal: Journal) -> Journal:
        if journal.path == path:
            raise StorageError("it is root's")
        return enter(journal)

    return entered


@pytest.mark.parametrize("journal", [b"", b"\0" * 99, f'{ACCEPTED}, "begins": "x"}}'.encode()])
def test_a_damaged_series_keeps_no_other(
    lodging: Lodging, caplog: pytest.LogCaptureFixture, journal: bytes
) -> None:
    document = b"{name: x, z_plan: {absolute: [0]}, repeat: 3}"
    spool, begins = lodging.house.spool, datetime(2100, 1, 1, tzinfo=UTC).isoformat()
    bad, good = (
        spool.accept_series(document, name=name, source="s", begins=begins)
        for name in ("bad", "good")
    )
    bad.journal.write_bytes(journal)
    keeper = SeriesKeeper(spool, lodging.house.backlog, lodging.house.catalogue)
    keeper.load()
    assert [series.series_id for series in keeper.summaries()] == [good.run_id]
    said = f"series {bad.run_id} cannot go on: its journal is damaged; submit {bad.request} again"
    assert said in caplog.text


@pytest.mark.parametrize("spoil", ["bytes", "folder"])
def test_a_pause_that_the_disk_spoilt_is_a_pause(lodging: Lodging, spoil: str) -> None:
    paused = lodging.house.spool.state / "paused"
    paused.mkdir() if spoil == "folder" else paused.write_bytes(b"\xff\xfe")
    started(lodging.house)
    assert lodging.house.gate.reason
