"""A run's state follows from its journal, read whole or only at its ends."""

from pathlib import Path
from typing import Any

import pytest

from zstackd.service.catalogue import Catalogue, summary_of
from zstackd.service.events import Events
from zstackd.store.journal import Journal, read_ends, read_journal
from zstackd.store.run_state import RunState, RunSummary
from zstackd.store.spool import RunFolder, Spool

ACCEPTED: dict[str, Any] = {"event": "accepted", "name": "x", "priority": 3}
FRAME: dict[str, Any] = {"event": "frame", "index": 0, "file": "z_0000.jpg"}


def after(*entries: dict[str, Any] | str) -> RunSummary:
    summary = RunSummary("id")
    for number, entry in enumerate(entries):
        fields = {"event": entry} if isinstance(entry, str) else entry
        summary = summary.after({"at": f"t{number}", **fields})
    return summary


@pytest.mark.parametrize(
    ("entries", "state"),
    [
        ((ACCEPTED,), RunState.QUEUED),
        ((ACCEPTED, "started"), RunState.CAPTURING),
        ((ACCEPTED, "started", "captured"), RunState.STACKING),
        ((ACCEPTED, "started", "captured", "stacked"), RunState.PUBLISHING),
        ((ACCEPTED, {"event": "started", "from_frames": True}), RunState.STACKING),
        ((ACCEPTED, "paused"), RunState.PAUSED),
        ((ACCEPTED, "paused", "resumed"), RunState.QUEUED),
        ((ACCEPTED, "started", "paused", "resumed"), RunState.CAPTURING),
        ((ACCEPTED, "started", "waiting"), RunState.WAITING),
        ((ACCEPTED, "started", "waiting", "started"), RunState.CAPTURING),
        ((ACCEPTED, "skipped"), RunState.SKIPPED),
        ((ACCEPTED, "started", "published", "frames_dropped", "hook"), RunState.PUBLISHED),
        ((ACCEPTED, "something of a later version"), RunState.QUEUED),
    ],
)
def test_state_after(entries: tuple[dict[str, Any] | str, ...], state: RunState) -> None:
    assert after(*entries).state is state


def test_what_people_ask_for() -> None:
    planned = {"event": "planned", "planes_um": [0, 1, 2]}
    done = {"event": "interrupted", "reason": "why", "result": "/out/x", "partial": True}
    run = after(ACCEPTED, "started", planned, FRAME, FRAME, done, "frames_dropped", "consumed")
    assert (run.name, run.priority, run.accepted_at) == ("x", 3, "t0")
    assert (run.planes_done, run.planes_total, run.attempts) == (2, 3, 1)
    assert (run.state, run.ended_at, run.reason) == (RunState.INTERRUPTED, "t5", "why")
    assert (run.result, run.is_partial) == (Path("/out/x"), True)
    assert (run.frames_kept, run.consumed) == (False, True)


def test_a_long_run_is_told_whole_after_a_restart(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with Journal(folder.journal) as journal:
        journal.append("accepted", name="long")
        begun = journal.append("started")
        journal.append("planned", planes_um=[float(plane) for plane in range(3000)])
        for plane in range(300):
            journal.append("plane", plane=plane, z_um=plane)
            journal.append("frame", index=plane, file=f"z_{plane}.jpg")
        journal.append("interrupted", reason="stopped")
        journal.append("started")
        journal.append("failed", reason="unplugged")
    summary = summary_of(folder)
    assert (summary.state, summary.reason) == (RunState.FAILED, "unplugged")
    assert (summary.started_at, summary.attempts) == (begun["at"], 2)
    assert (summary.planes_done, summary.planes_total) == (300, 3000)


def test_an_ended_run_is_told_from_the_ends_of_its_journal(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with Journal(folder.journal) as journal:
        journal.append("accepted", name="long", priority=2)
        for plane in range(500):
            journal.append("plane", plane=plane)
        journal.append("published", result="/out/r")
        journal.append("consumed")
    ends = read_ends(folder.journal)
    assert len(ends) < 100
    assert [ends[0]["event"], ends[-1]["event"]] == ["accepted", "consumed"]
    summary = summary_of(folder)
    assert (summary.state, summary.name, summary.consumed) == (RunState.PUBLISHED, "long", True)


@pytest.mark.parametrize("lines", [0, 1, 20, 21, 22, 40, 41, 42, 43, 44, 45, 200])
def test_the_ends_of_a_journal_are_whole_lines_of_it(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        for number in range(lines):
            journal.append("plane", plane=number, padding="x" * 111)
    whole, ends = read_journal(path), read_ends(path)
    assert all(entry in whole for entry in ends)
    assert ends[:1] == whole[:1]
    assert ends[-1:] == whole[-1:]


def test_the_catalogue_hears_journals_and_reads_them_at_start(tmp_path: Path) -> None:
    events = Events()
    catalogue = Catalogue(events)
    with Spool(tmp_path, catalogue.hear) as spool, events.subscribe() as heard:
        one = spool.accept_text(b"name: one", name="one", priority=1)
        two = spool.accept_text(b"name: two", name="two")
        with spool.journal(one) as journal:
            journal.append("started")
            journal.append("frame", index=0, file="z_0000.jpg")
        assert [event and event.kind for event in (heard.get(0), heard.get(0), heard.get(0))] == [
            "accepted", "accepted", "started",
        ]  # fmt: skip
        again = Catalogue(Events())
        again.load(spool)
        for each in (catalogue, again):
            assert {run.run_id for run in each.listed()} == {one.run_id, two.run_id}
            (running,) = each.listed(states={RunState.CAPTURING})
            assert (running.run_id, running.planes_done) == (one.run_id, 1)
            assert each.counts()[RunState.QUEUED] == 1
        latest_run, entry = catalogue.latest_frame() or ("", {})
        assert (latest_run, entry["file"]) == (one.run_id, "z_0000.jpg")
        assert len(catalogue.listed(limit=1)) == 1
