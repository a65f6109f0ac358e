"""Time-lapse series: every point once, at its time, without drift; late ones by policy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from zstackd.service.backlog import Backlog, Job
from zstackd.service.catalogue import Catalogue
from zstackd.service.clock_steps import ClockSteps
from zstackd.service.events import Events
from zstackd.service.recovery import recover
from zstackd.service.schedule import schedule_of
from zstackd.service.series import SeriesKeeper
from zstackd.store.journal import read_journal
from zstackd.store.spool import RunFolder, Spool
from zstackd_config.errors import ConfigError
from zstackd_config.load import parse_run

BEGIN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PLAN = {"absolute": [0, 10]}


def document(**changes: object) -> bytes:
    return yaml.safe_dump({"name": "s", "z_plan": PLAN, **changes}).encode()


@dataclass
class Bench:
    """A keeper on a real spool, with a clock that only the test moves."""

    spool: Spool
    now: datetime = BEGIN
    boot: str = "first boot"
    events: Events = field(default_factory=Events)
    backlog: Backlog = field(default_factory=Backlog)

    def __post_init__(self) -> None:
        self.catalogue = Catalogue(self.events)
        self.spool._hear = self.catalogue.hear
        self.set_s = 0.0
        self.keeper = self.keeper_now()

    def keeper_now(self) -> SeriesKeeper:
        """Return a keeper as a start makes it."""
        steps = ClockSteps(self.wall_s, lambda: self.wall_s() - self.set_s)
        return SeriesKeeper(
            self.spool, self.backlog, self.catalogue, lambda: self.now, steps, boot=self.boot
        )

    def wall_s(self) -> float:
        return self.now.timestamp()

    def set_clock(self, seconds: float) -> None:
        """Set the clock forward; no time passes."""
        self.set_s += seconds
        self.now += timedelta(seconds=seconds)

    def begin(self, **changes: object) -> RunFolder:
        facts = {"begins": self.now.isoformat(), "boot": self.boot}
        folder = self.spool.accept_series(document(**changes), name="s", source="test", **facts)
        self.keeper.begin(folder)
        return folder

    def due(self, seconds: float) -> list[str]:
        """Let the clock stand so many seconds after the begin; return the queued points."""
        self.now = BEGIN + timedelta(seconds=seconds)
        self.keeper.turn()
        return [job.run_id[-4:] for job in self.backlog.waiting()]

    def do(self) -> Job:
        """Take the next run and publish it at once."""
        job = self.backlog.take(0, able=lambda _: True)
        assert job is not None
        with self.spool.journal(job.folder) as journal:
            journal.append("published", result="somewhere")
        self.backlog.done()
        return job


@contextmanager
def bench_in(folder: Path) -> Iterator[Bench]:
    with Spool(folder) as spool:
        yield Bench(spool)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_in(tmp_path) as bench:
        yield bench


def points_of(folder: RunFolder) -> list[dict[str, object]]:
    return [entry for entry in read_journal(folder.journal) if entry["event"] == "point"]


def test_points_come_at_their_times_however_late_the_one_before(bench: Bench) -> None:
    folder = bench.begin(time_plan={"interval": 10, "loops": 3})
    assert bench.due(0) == ["0000"]
    bench.do()
    assert bench.due(9.99) == []
    assert bench.keeper.next_due_s() == pytest.approx(0.01)
    assert bench.due(13) == ["0001"]
    bench.do()
    assert bench.due(19.9) == []
    assert bench.due(20) == ["0002"]
    bench.do()
    assert bench.due(21) == []
    assert bench.keeper.summaries() == []
    assert [point["late_s"] for point in points_of(folder)] == [0, 3, 0]
    assert read_journal(folder.journal)[-1]["event"] == "series_ended"


def test_one_point_at_a_time_waits_in_the_queue(bench: Bench) -> None:
    bench.begin(repeat=3)
    for point in ("0000", "0001", "0002"):
        assert bench.due(0) == [point]
        assert bench.due(5) == [point]
        bench.do()
    assert bench.due(5) == []


def test_missed_points_are_run_one_after_the_other(bench: Bench) -> None:
    folder = bench.begin(time_plan={"interval": 10, "loops": 4}, when_late="run")
    done = []
    while bench.due(35):
        done.append(bench.do().run_id[-4:])
    assert done == ["0000", "0001", "0002", "0003"]
    assert [point["late_s"] for point in points_of(folder)] == [35, 25, 15, 5]


def test_missed_points_are_skipped_and_said(bench: Bench) -> None:
    folder = bench.begin(time_plan={"interval": 10, "loops": 5}, when_late="skip", late_after_s=2)
    assert bench.due(1.9) == ["0000"]
    bench.do()
    assert bench.due(31) == ["0003"]
    job = bench.do()
    assert job.skip_after == (BEGIN + timedelta(seconds=32)).timestamp()
    skipped = points_of(folder)[1]
    assert (skipped["point"], skipped["last"], skipped["skipped"]) == (1, 2, True)
    (summary,) = bench.keeper.summaries()
    assert (summary.upcoming, summary.skipped, summary.count) == (4, 2, 5)


def test_a_restart_goes_on_with_the_next_point(tmp_path: Path) -> None:
    with bench_in(tmp_path) as first:
        first.begin(time_plan={"interval": 10, "loops": 3})
        assert first.due(0) == ["0000"]
        first.do()
        assert first.due(10) == ["0001"]
    with bench_in(tmp_path) as second:
        second.catalogue.load(second.spool)
        second.keeper.load()
        (summary,) = second.keeper.summaries()
        assert summary.current is not None
        assert (summary.upcoming, summary.current[-4:]) == (2, "0001")
        assert second.due(20) == []
        with second.spool.journal(RunFolder(second.spool.runs / summary.current)) as journal:
            journal.append("published")
        assert second.due(20) == ["0002"]


def test_a_crash_between_run_and_note_makes_no_second_run(tmp_path: Path) -> None:
    with bench_in(tmp_path) as first:
        folder = first.begin(repeat=2)
        first.due(0)
        (run,) = first.spool.folders()
        with first.spool.journal(run) as journal:
            journal.append("started", output="anywhere")
        before = read_journal(run.journal)
        lines = folder.journal.read_text().splitlines(keepends=True)
        folder.journal.write_text("".join(lines[:-1]))
    with bench_in(tmp_path) as second:
        second.catalogue.load(second.spool)
        for waiting in recover(second.spool, tmp_path / "output"):
            second.backlog.put(Job(waiting.folder))
        second.keeper.load()
        assert second.due(0) == ["0000"]
        assert read_journal(run.journal) == before
        second.do()
        assert second.due(0) == ["0001"]
        assert len(second.spool.folders()) == 2


def test_a_cancelled_series_is_over(bench: Bench) -> None:
    folder = bench.begin(time_plan={"interval": 10, "loops": 3})
    bench.due(0)
    queued = bench.keeper.cancel(folder.run_id, "cancelled by a test")
    assert queued is not None
    assert queued.endswith("-0000")
    bench.do()
    assert bench.due(30) == []
    assert read_journal(folder.journal)[-1]["reason"] == "cancelled by a test"
    with pytest.raises(KeyError):
        bench.keeper.cancel(folder.run_id, "again")


def test_phases_follow_one_another() -> None:
    phases = [{"interval": 1, "loops": 3}, {"interval": 10, "loops": 2}]
    run = parse_run(document(time_plan={"phases": phases}), name="x")
    schedule = schedule_of(run, BEGIN, source="x")
    assert list(schedule.offsets_s) == [0, 1, 2, 12]
    assert schedule.due(3) == BEGIN + timedelta(seconds=12)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"repeat": 3, "time_plan": {"interval": 1, "loops": 3}}, "give one of them"),
        ({"time_plan": {"duration": 1, "loops": 1}}, "it must be at least 2"),
        ({"time_plan": {"interval": 0, "duration": 10}}, "it must be from 0.001 s"),
        ({"time_plan": {"interval": 1, "loops": 100_001}}, "it must be at most 100000"),
        ({"time_plan": {"interval": -1, "loops": 3}}, "it must be from 0.001 s"),
    ],
)
def test_time_plans_that_cannot_be_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        schedule_of(parse_run(document(**changes), name="x"), BEGIN, source="x.yaml")


def test_a_disk_without_room_is_said_once_and_waited_for(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.begin(repeat=2)
    runs, aside = bench.spool.runs, bench.spool.state / "aside"
    runs.rename(aside)
    runs.touch()  # so that no run can be made in it
    for _ in range(3):
        assert bench.due(0) == []
    assert caplog.text.count("trying again") == 1
    runs.unlink()
    aside.rename(runs)
    assert bench.due(0) == ["0000"]


LAPSE = {"time_plan": {"interval": 600, "loops": 9}, "when_late": "skip"}


@pytest.mark.parametrize("set_s", [86_400.0, -86_400.0])
def test_a_clock_that_is_set_neither_hurries_nor_stops_a_series(
    bench: Bench, caplog: pytest.LogCaptureFixture, set_s: float
) -> None:
    caplog.set_level("WARNING")
    series = bench.begin(**LAPSE)
    assert bench.due(0) == ["0000"]
    bench.do()
    bench.set_clock(set_s)
    assert bench.due(set_s + 599) == []
    assert bench.due(set_s + 600) == ["0001"]
    bench.do()
    bench.keeper = bench.keeper_now()  # a restart
    bench.keeper.load()
    assert bench.due(set_s + 1199) == []
    assert bench.due(set_s + 1200) == ["0002"]
    assert bench.keeper.find(series.run_id).skipped == 0  # type: ignore[union-attr]
    way = "forward" if set_s > 0 else "back"
    said = f"the clock was set {way} by 86400 s; 1 series keep the distances of their points"
    assert [record.getMessage() for record in caplog.records] == [said]


@pytest.mark.parametrize("behind_s", [60.0, 7200.0])
def test_after_a_power_cut_without_a_clock_a_series_comes_back_to_its_times(
    bench: Bench, caplog: pytest.LogCaptureFixture, behind_s: float
) -> None:
    series = bench.begin(**LAPSE)
    assert bench.due(0) == ["0000"]
    bench.do()
    bench.boot = "second boot"
    bench.set_clock(-behind_s)  # where it stood when the power went
    bench.keeper = bench.keeper_now()
    bench.keeper.load()
    bench.keeper.turn()
    bench.set_clock(behind_s)  # the network tells the time
    assert bench.due(599) == []
    assert bench.due(600) == ["0001"]
    bench.do()
    assert bench.due(1199) == []
    assert bench.due(1200) == ["0002"]
    assert not [e for e in read_journal(series.journal) if e["event"] == "clock_set"]
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_a_series_that_has_not_begun_begins_at_its_time(bench: Bench) -> None:
    series = bench.spool.accept_series(
        document(**LAPSE), name="s", source="test",
        begins=(BEGIN + timedelta(seconds=7200)).isoformat(),
    )  # fmt: skip
    bench.keeper.begin(series)
    assert bench.due(0) == []
    bench.set_clock(3600)
    assert bench.due(7199) == []
    assert bench.due(7200) == ["0000"]


def test_a_clock_that_drifts_was_not_set() -> None:
    wall_s, elapsed_s = [1000.0], [0.0]
    steps = ClockSteps(lambda: wall_s[0], lambda: elapsed_s[0])
    for _ in range(100):
        wall_s[0] += 3603.0
        elapsed_s[0] += 3600.0
        assert steps.step_s() == 0
    wall_s[0] -= 60.0
    assert steps.step_s() == -60
    assert steps.step_s() == 0
