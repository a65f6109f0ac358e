"""Runs that wait say so once, whatever figures change meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zstackd.service.backlog import Job
from zstackd.service.performer import Performer
from zstackd.store.journal import read_journal
from zstackd_config.errors import StorageError

if TYPE_CHECKING:
    import pytest
    from tests.daemon.conftest import Lodging


def test_a_run_that_waits_for_room_says_so_once(
    lodging: Lodging, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house, run = lodging.house, lodging.accept()
    house.backlog.put(Job(run))
    reasons = [
        *(
            f"/spool: the run needs 6 MB and 1 MB in reserve, {free} MB are free"
            for free in (5, 3, 4)
        ),
        "/out: cannot be written: Read-only file system",
        "/spool: the run needs 6 MB and 1 MB in reserve, 2 MB are free",
    ]
    for reason in reasons:

        def refuse(_: Job, reason: str = reason) -> None:
            raise StorageError(reason)

        performer = Performer(house)
        monkeypatch.setattr(performer, "_run", refuse)
        (job,) = house.backlog.waiting()
        job.ready_at = 0.0
        taken = house.backlog.take(0, able=lambda _: True)
        assert taken is not None
        performer.perform(taken)
    said = [reasons[0], reasons[3], reasons[4]]
    assert [entry["reason"] for entry in read_journal(run.journal)[1:]] == said
    assert [record.getMessage() for record in caplog.records] == [
        f"{run.run_id}: waits: {reason}" for reason in said
    ]
