"""Runs that wait say so once, and those that fail before they begin are closed as failed."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.daemon.conftest import lodgings

from zstackd.service.backlog import Job
from zstackd.service.performer import Performer
from zstackd.service.series import SeriesKeeper
from zstackd.service.service_control import ServiceControl
from zstackd.store.journal import read_journal
from zstackd.store.room import NoRoom, require_disk
from zstackd.store.run_state import RunState
from zstackd_config.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.daemon.conftest import Lodging


def failing(error: Exception) -> Callable[[Job], None]:
    def fail(_: Job) -> None:
        raise error

    return fail


def perform_next(lodging: Lodging, performer: Performer) -> None:
    """Perform the only run in the queue, however long it should wait."""
    (job,) = lodging.house.backlog.waiting()
    job.again_s = 0.0
    taken = lodging.house.backlog.take(0, able=lambda _: True)
    assert taken is job
    performer.perform(job)


def no_room(folder: Path, free_mb: int, monkeypatch: pytest.MonkeyPatch) -> NoRoom:
    """The error that a disk with so much room left makes of a run."""
    monkeypatch.setattr("zstackd.store.room.free_bytes", lambda _: free_mb * 10**6)
    with pytest.raises(NoRoom) as caught:
        require_disk(folder, 6 * 10**6, what="the run", reserve_bytes=10**6)
    return caught.value


def test_a_run_that_waits_for_room_says_so_once(
    lodging: Lodging,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("WARNING")
    house, run = lodging.house, lodging.accept()
    house.backlog.put(Job(run))
    full = [no_room(tmp_path, free_mb, monkeypatch) for free_mb in (5, 3, 4, 2)]
    odd = [StorageError(f"{tmp_path} needs {words}") for words in ("a disk", "to be mounted")]
    errors = [*full[:3], *odd, full[3]]
    for error in errors:
        performer = Performer(house)
        monkeypatch.setattr(performer, "_run", failing(error))
        perform_next(lodging, performer)
    (job,) = house.backlog.waiting()
    assert job.ready_at == 0  # tried again by a clock that nobody sets
    assert job.again_s > time.monotonic()
    said = [str(errors[number]) for number in (0, 3, 4, 5)]
    assert [entry["reason"] for entry in read_journal(run.journal)[1:]] == said
    assert [record.getMessage() for record in caplog.records] == [
        f"{run.run_id}: waits: {reason}" for reason in said
    ]


@pytest.fixture
def hooked(tmp_path: Path) -> Iterator[Lodging]:
    yield from lodgings(tmp_path, on_failed={"command": ["true"]})


BEYOND = b"{name: x, z_plan: {absolute: [5000]}}"


@pytest.mark.parametrize("document", [b"{name: x", b"name: x", BEYOND])
def test_a_run_that_cannot_be_begun_any_more_ends_as_failed(
    hooked: Lodging, document: bytes
) -> None:
    run = hooked.house.spool.accept_text(document, name="x")
    hooked.house.backlog.put(Job(run))
    perform_next(hooked, Performer(hooked.house))
    found = hooked.summary(run)
    assert (found.state, found.hook_due) == (RunState.FAILED, True)
    assert found.reason
    assert hooked.house.backlog.waiting() == []


def test_what_a_run_cannot_reach_any_more_is_told_with_its_line(lodging: Lodging) -> None:
    run = lodging.house.spool.accept_text(BEYOND, name="x")
    lodging.house.backlog.put(Job(run))
    perform_next(lodging, Performer(lodging.house))
    reason = lodging.summary(run).reason or ""
    assert reason.startswith(f"{run.request}:1:11: z_plan: plane 0 of 1 ")


def test_an_error_of_ours_ends_its_run(hooked: Lodging, monkeypatch: pytest.MonkeyPatch) -> None:
    run, performer = hooked.accept(), Performer(hooked.house)
    hooked.house.backlog.put(Job(run))
    monkeypatch.setattr(performer, "_run", failing(TypeError("unforeseen")))
    perform_next(hooked, performer)
    assert hooked.summary(run).reason == "internal error: TypeError: unforeseen"


@pytest.mark.parametrize("is_open", [True, False])
def test_a_run_whose_turn_comes_while_somebody_moves_the_axis_waits(
    lodging: Lodging, is_open: bool
) -> None:
    house = lodging.house
    run = house.spool.accept_text(b"{name: x, z_plan: {absolute: [50]}}", name="x")
    house.backlog.put(Job(run))
    if is_open:
        assert house.hardware.keep()
        with house.hardware.lent():
            perform_next(lodging, Performer(house))
    else:
        perform_next(lodging, Performer(house))
    (job,) = house.backlog.waiting()
    assert job.held_for is not None
    assert "the rig is busy" in job.held_for.why or "the rig is not ready" in job.held_for.why
    assert not lodging.summary(run).ended
    house.hardware.close()


def test_a_run_whose_folder_was_deleted_is_forgotten(lodging: Lodging) -> None:
    house, run = lodging.house, lodging.accept()
    house.backlog.put(Job(run))
    shutil.rmtree(run.path)
    perform_next(lodging, Performer(house))
    assert house.catalogue.get(run.run_id) is None
    assert house.backlog.waiting() == []


def test_a_run_whose_cancelling_cannot_be_noted_is_not_cancelled(lodging: Lodging) -> None:
    house, run = lodging.house, lodging.accept()
    house.backlog.put(Job(run))
    reception: Any = None
    control = ServiceControl(
        house, reception, SeriesKeeper(house.spool, house.backlog, house.catalogue)
    )
    away = run.path.with_name("away")
    run.path.rename(away)
    with pytest.raises(StorageError):
        control.cancel(run.run_id, by="me")
    away.rename(run.path)
    assert [job.folder for job in house.backlog.waiting()] == [run]
    assert control.cancel(run.run_id, by="me").state is RunState.CANCELLED
