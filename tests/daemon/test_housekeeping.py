"""Consumed results are noted, old things make room, and nothing that is needed is touched."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest
from tests.daemon.conftest import Lodging, lodgings, write_result
from tests.users import ordinary_user

from zstackd.service import catalogue, outbox, retention
from zstackd.service.outbox import ACKNOWLEDGED, Outbox
from zstackd.service.retention import Kept, Sweeper, to_delete
from zstackd.store.journal import read_journal
from zstackd.store.run_state import RunState, RunSummary
from zstackd.store.spool import RunFolder
from zstackd_config.service import Retention

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def events_of(lodging: Lodging, run: RunSummary) -> list[str]:
    folder = RunFolder(lodging.house.spool.runs / run.run_id)
    return [entry["event"] for entry in read_journal(folder.journal)]


def result_of(run: RunSummary) -> Path:
    assert run.result is not None
    return run.result


def test_taken_and_acknowledged_results_are_noted_once(lodging: Lodging) -> None:
    taken, acknowledged, left = (lodging.publish() for _ in range(3))
    shutil.rmtree(result_of(taken))
    (result_of(acknowledged) / ACKNOWLEDGED).touch()
    for _ in range(2):
        Outbox(lodging.house).look()
    assert events_of(lodging, taken).count("consumed") == 1
    assert events_of(lodging, acknowledged).count("consumed") == 1
    assert "consumed" not in events_of(lodging, left)
    assert lodging.summary(taken).consumed


def test_every_one_of_many_results_has_its_turn(
    lodging: Lodging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "AT_ONCE", 2)
    runs = [lodging.publish() for _ in range(7)]
    keeper = Outbox(lodging.house)
    for run in runs[:5]:
        (result_of(run) / ACKNOWLEDGED).touch()
    keeper.look()
    assert sum(lodging.summary(run).consumed for run in runs) == 2  # the newest two are not
    for _ in range(6):
        keeper.look()
    assert [lodging.summary(run).consumed for run in runs] == [True] * 5 + [False] * 2


def test_results_of_an_output_folder_that_is_away_are_not_taken(lodging: Lodging) -> None:
    run, output = lodging.publish(), lodging.house.output
    away = output.with_name("unmounted")
    output.rename(away)
    Outbox(lodging.house).look()
    output.mkdir()
    Outbox(lodging.house).look()
    output.rmdir()
    away.rename(output)
    Outbox(lodging.house).look()
    assert "consumed" not in events_of(lodging, run)


@pytest.mark.parametrize("closed", ["result", "output"])
def test_a_folder_that_is_closed_to_the_service_keeps_it_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    monkeypatch.setattr(catalogue, "MOST_ENDED", 1)
    tmp_path.chmod(0o755)
    with contextmanager(lodgings)(tmp_path, results={"max_size_gb": 1e-9}) as lodging:
        older, run, _ = (lodging.publish() for _ in range(3))
        folder = {"result": result_of(run), "output": lodging.house.output}[closed]
        folder.chmod(0)
        outbox_, sweeper = Outbox(lodging.house), Sweeper(lodging.house)
        with ordinary_user():
            outbox_.look()
            sweeper.sweep()
        folder.chmod(0o755)
        assert "consumed" not in events_of(lodging, run)
        outbox_.look()
        sweeper.sweep()
        assert [result_of(each).exists() for each in (older, run)] == [False, False]


def test_what_lasts_is_warned_of_once(strict: Lodging, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")
    run, sweeper, keeper = strict.publish(), Sweeper(strict.house), Outbox(strict.house)
    shutil.rmtree(strict.house.spool.runs / run.run_id)
    (result_of(run) / ACKNOWLEDGED).touch()
    for _ in range(3):
        keeper.look()
    assert len(caplog.records) == 1
    for _ in range(3):
        sweeper.sweep()
        keeper.look()
    assert len(caplog.records) == 1
    assert strict.house.catalogue.get(run.run_id) is None


def test_a_result_that_its_hook_has_not_seen_stays(tmp_path: Path) -> None:
    nothing = {"max_size_gb": 1e-9}
    with contextmanager(lodgings)(tmp_path, frames=nothing, results=nothing) as lodging:
        run = lodging.publish(hook=True)
        lodging.publish()
        assert left_of(lodging, run) == {"frames", "results"}
        with lodging.house.spool.journal(
            RunFolder(lodging.house.spool.runs / run.run_id)
        ) as journal:
            journal.append("hook", hook="on_published", status=0)
        assert left_of(lodging, run) == set()


def kept(run_id: str, days: float, size: int, *, deletable: bool = True) -> Kept:
    ended_at = NOW - timedelta(days=days)
    run = RunSummary(run_id, state=RunState.PUBLISHED)
    return Kept(run, Path(run_id), ended_at, size, deletable)


def chosen(things: list[Kept], rule: Retention, free: list[int] | None = None) -> list[str]:
    rooms = iter(free or [])
    return [each.run.run_id for each, _ in to_delete(things, rule, NOW, lambda: next(rooms))]


def test_rules_delete_the_oldest_first_and_no_more_than_they_must() -> None:
    gb = 10**9
    things = [kept("new", 1, gb), kept("old", 9, gb), kept("older", 10, gb), kept("mid", 5, gb)]
    assert chosen(things, Retention(max_age_days=8)) == ["older", "old"]
    assert chosen(things, Retention(max_size_gb=1.5)) == ["older", "old", "mid"]
    assert chosen(things, Retention(min_free_gb=2), free=[gb, gb, 2 * gb, 2 * gb]) == [
        "older", "old",
    ]  # fmt: skip
    assert chosen(things, Retention()) == []


def test_what_is_protected_counts_but_stays() -> None:
    gb = 10**9
    things = [kept("protected", 10, 2 * gb, deletable=False), kept("other", 5, gb)]
    assert chosen(things, Retention(max_size_gb=2)) == ["other"]
    assert chosen(things, Retention(max_age_days=1)) == ["other"]


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Lodging]:
    """Yield a house that keeps nothing that may be deleted and asks for acknowledgement."""
    nothing = {"max_size_gb": 1e-9}
    yield from lodgings(tmp_path, acknowledge="file", frames=nothing, results=nothing)


def test_only_acknowledged_results_and_their_frames_are_deleted(strict: Lodging) -> None:
    acknowledged, unseen = strict.publish(), strict.publish()
    (result_of(acknowledged) / ACKNOWLEDGED).touch()
    Outbox(strict.house).look()
    Sweeper(strict.house).sweep()
    runs = strict.house.spool.runs
    assert not result_of(acknowledged).exists()
    assert not RunFolder(runs / acknowledged.run_id).frames.exists()
    assert result_of(unseen).is_dir()
    assert RunFolder(runs / unseen.run_id).frames.is_dir()
    assert events_of(strict, acknowledged)[-3:] == ["consumed", "frames_dropped", "result_deleted"]
    assert sorted(strict.house.output.iterdir()) == [result_of(unseen)]


def test_open_runs_and_strangers_are_left_alone(strict: Lodging) -> None:
    waiting = strict.accept()
    waiting.frames.mkdir()
    (waiting.frames / "z_0000.jpg").write_bytes(b"x" * 1000)
    foreign = strict.house.output / "20260101T000000Z_other-tool"
    foreign.mkdir()
    (foreign / "stack.tif").write_bytes(b"x" * 1000)
    edited = strict.publish()
    for name in (ACKNOWLEDGED, "my notes.txt"):
        (result_of(edited) / name).write_text("mine")
    replaced = strict.publish()
    write_result(result_of(replaced), "20260101T000000Z_other-run")
    (result_of(replaced) / ACKNOWLEDGED).touch()
    Outbox(strict.house).look()
    Sweeper(strict.house).sweep()
    assert (result_of(replaced) / "stack.png").exists()
    assert (waiting.frames / "z_0000.jpg").exists()
    assert (foreign / "stack.tif").exists()
    assert (result_of(edited) / "my notes.txt").exists()


def test_a_folder_that_nobody_can_read_or_delete_does_not_keep_the_others(
    strict: Lodging, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = strict.publish(), strict.publish()
    for run in (first, second):
        (result_of(run) / ACKNOWLEDGED).touch()
    Outbox(strict.house).look()
    # What hides a result before it is deleted is there already, and not empty.
    blocker = strict.house.publisher(first.run_id).hidden
    blocker.mkdir()
    (blocker / "file").touch()
    Sweeper(strict.house).sweep()
    assert result_of(first).is_dir()
    assert not result_of(second).exists()
    assert f"retention: {first.run_id}: " in caplog.text
    shutil.rmtree(blocker)
    Sweeper(strict.house).sweep()
    assert not result_of(first).exists()


def test_runs_that_the_catalogue_forgot_make_room_too(
    strict: Lodging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "MOST_ENDED", 1)
    old, unseen, new = (strict.publish() for _ in range(3))
    (result_of(old) / ACKNOWLEDGED).touch()
    assert [run.run_id for run in strict.house.catalogue.listed()] == [new.run_id]
    sweeper = Sweeper(strict.house)
    for _ in range(2):
        sweeper.sweep()
        assert not result_of(old).exists()
        assert result_of(unseen).is_dir()
    frames = [RunFolder(strict.house.spool.runs / run.run_id).frames for run in (old, unseen)]
    assert [folder.exists() for folder in frames] == [False, True]
    assert [run.run_id for run in strict.house.catalogue.listed()] == [new.run_id]
    (result_of(unseen) / ACKNOWLEDGED).touch()
    sweeper.sweep()
    assert not result_of(unseen).exists()


def test_frames_of_a_run_without_a_result_wait_for_no_consumer(strict: Lodging) -> None:
    failed = strict.accept()
    failed.frames.mkdir()
    (failed.frames / "z_0000.jpg").write_bytes(b"x" * 1000)
    with strict.house.spool.journal(failed) as journal:
        journal.append("failed", reason="the lamp went out")
    Sweeper(strict.house).sweep()
    assert not failed.frames.exists()


def left_of(lodging: Lodging, run: RunSummary) -> set[str]:
    """What is left of a run that is swept now."""
    Sweeper(lodging.house).sweep()
    folder = RunFolder(lodging.house.spool.runs / run.run_id)
    places = {"frames": folder.frames, "results": result_of(run)}
    return {name for name, place in places.items() if place.is_dir()}


@pytest.mark.parametrize(("ruled", "other"), [("frames", "results"), ("results", "frames")])
def test_frames_and_results_each_have_their_own_rule(
    tmp_path: Path, ruled: str, other: str
) -> None:
    with contextmanager(lodgings)(tmp_path, **{ruled: {"max_size_gb": 1e-9}}) as lodging:
        run, _ = lodging.publish(), lodging.publish()
        assert left_of(lodging, run) == {other}


@pytest.mark.parametrize(("full", "other"), [("frames", "results"), ("results", "frames")])
def test_only_what_lies_on_a_full_disk_makes_room_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str, other: str
) -> None:
    room = {"min_free_gb": 1}
    with contextmanager(lodgings)(tmp_path, frames=room, results=room) as lodging:
        house = lodging.house
        disk = {"frames": house.spool.runs, "results": house.output}[full]
        monkeypatch.setattr(retention, "free_bytes", lambda at: 0 if at == disk else 10**12)
        run, _ = lodging.publish(), lodging.publish()
        assert left_of(lodging, run) == {other}


TINY = {"max_size_gb": 1e-9}
LITTLE_ROOM = {"min_free_gb": 1}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (TINY, "although more than 1e-09 GB are kept (max_size_gb): it is the newest result, and"),
        (LITTLE_ROOM, "although less than 1 GB are free (min_free_gb): it is the newest result"),
    ],
)
def test_the_newest_result_stays_whatever_it_takes_and_is_told_of_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    rule: dict[str, float],
    said: str,
) -> None:
    caplog.set_level("WARNING")
    monkeypatch.setattr(retention, "free_bytes", lambda _: 0)
    with contextmanager(lodgings)(tmp_path, frames=TINY, results=rule) as lodging:
        sweeper = Sweeper(lodging.house)
        for _ in range(3):
            run = lodging.publish()
            for _ in range(2):
                sweeper.sweep()
            assert sorted(lodging.house.output.iterdir()) == [result_of(run)]
            assert not RunFolder(lodging.house.spool.runs / run.run_id).frames.exists()
        (warning,) = caplog.messages
        assert said in warning


def test_the_newest_result_goes_once_it_is_acknowledged_or_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = {"max_age_days": 30, **TINY}
    with contextmanager(lodgings)(tmp_path, results=rule) as lodging:
        acknowledged = lodging.publish()
        (result_of(acknowledged) / ACKNOWLEDGED).touch()
        Outbox(lodging.house).look()
        assert left_of(lodging, acknowledged) == {"frames"}
        old = lodging.publish()
        assert left_of(lodging, old) == {"frames", "results"}
        restarted = replace(lodging.house, started_at=datetime.now(UTC))
        monkeypatch.setattr(retention, "datetime", FortyDaysLater)
        assert left_of(Lodging(restarted), old) == {"frames"}
        assert events_of(lodging, old)[-1] == "result_deleted"


class FortyDaysLater(datetime):
    """The clock, once it was set."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + timedelta(days=40)


@pytest.mark.parametrize(
    ("since_the_start", "left"), [(True, {"frames", "results"}), (False, set())]
)
def test_a_clock_that_is_set_makes_nothing_old_that_ended_since_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, since_the_start: bool, left: set[str]
) -> None:
    rule = {"max_age_days": 30}
    with contextmanager(lodgings)(tmp_path, frames=rule, results=rule) as lodging:
        run = lodging.publish()
        started_at = lodging.house.started_at if since_the_start else datetime.now(UTC)
        monkeypatch.setattr(retention, "datetime", FortyDaysLater)
        assert left_of(Lodging(replace(lodging.house, started_at=started_at)), run) == left


def test_a_clock_that_is_set_leaves_the_order_of_results_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextmanager(lodgings)(tmp_path, results=TINY) as lodging:
        runs = [lodging.publish() for _ in range(3)]
        monkeypatch.setattr(retention, "datetime", FortyDaysLater)
        Sweeper(lodging.house).sweep()
        (left,) = lodging.house.output.iterdir()
        assert left == result_of(runs[-1])


def test_free_room_that_no_deleting_could_make_is_told_and_deletes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more_than_any_disk = {"min_free_gb": 1e6}
    with contextmanager(lodgings)(
        tmp_path, frames=more_than_any_disk, results=more_than_any_disk
    ) as lodging:
        assert left_of(lodging, lodging.publish()) == {"frames", "results"}
        said = [text for text in caplog.messages if "min_free_gb 1e+06 is not applied" in text]
        assert [str(lodging.house.output) in text for text in said] == [False, True]


def test_frames_that_a_crash_left_behind_are_deleted(lodging: Lodging) -> None:
    whole, run = lodging.publish(), lodging.publish()
    folder = RunFolder(lodging.house.spool.runs / run.run_id)
    with lodging.house.spool.journal(folder) as journal:
        journal.append("frames_dropped")
    assert folder.frames.is_dir()
    Sweeper(lodging.house).finish()
    assert not folder.frames.exists()
    assert RunFolder(lodging.house.spool.runs / whole.run_id).frames.is_dir()
