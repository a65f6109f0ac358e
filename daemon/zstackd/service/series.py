"""Time-lapse series and repetitions: each point becomes a run of its own when its time has come."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from zstackd.service.backlog import Backlog, Job
from zstackd.service.catalogue import Catalogue
from zstackd.service.clock_steps import ClockSteps, boot_id
from zstackd.service.schedule import Schedule, schedule_of
from zstackd.store.journal import DAMAGE, read_journal
from zstackd.store.spool import RunFolder, Spool, point_id
from zstackd_config.errors import StorageError, ZstackdError
from zstackd_config.load import load_run
from zstackd_config.run import Run

_log = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """One series as it stands; `upcoming` is the number of the next point, from 0."""

    series_id: str
    name: str
    count: int
    upcoming: int
    due_at: datetime | None
    skipped: int
    current: str | None


@dataclass(frozen=True, slots=True)
class _Series:
    folder: RunFolder
    run: Run
    schedule: Schedule
    upcoming: int = 0
    skipped: int = 0
    current: str | None = None
    boot: str | None = None

    @property
    def series_id(self) -> str:
        return self.folder.run_id

    def goes_along(self, boot: str | None) -> bool:
        """Whether its points move with a clock that is set in this boot.

        Points were done, others have their times still, and it was begun by the clock that was
        wrong. One that was begun before the computer was last started has its times from a clock
        that was right, as far as anybody knows, and the step only brings that one back.
        """
        begun = self.schedule.timed and 0 < self.upcoming < self.schedule.count
        return begun and self.boot in {None, boot}

    def moved(self, seconds: float) -> "_Series":
        """Return the series with its points so much later."""
        begins = self.schedule.begins + timedelta(seconds=seconds)
        return replace(self, schedule=replace(self.schedule, begins=begins))

    def summary(self) -> SeriesSummary:
        due = self.schedule.due(self.upcoming) if self.upcoming < self.schedule.count else None
        return SeriesSummary(
            series_id=self.series_id,
            name=self.run.name,
            count=self.schedule.count,
            upcoming=self.upcoming,
            due_at=due,
            skipped=self.skipped,
            current=self.current,
        )


class SeriesKeeper:
    """Every series that has points left; safe from any thread."""

    def __init__(
        self,
        spool: Spool,
        backlog: Backlog,
        catalogue: Catalogue,
        now: Callable[[], datetime] = _utc_now,
        steps: ClockSteps | None = None,
        *,
        boot: str | None = None,
    ) -> None:
        self._spool = spool
        self._backlog = backlog
        self._catalogue = catalogue
        self._now = now
        self._steps = steps or ClockSteps()
        self._boot = boot or boot_id()
        self._lock = threading.Lock()
        self._active: dict[str, _Series] = {}
        self._trouble: dict[str, str] = {}

    def load(self) -> None:
        """Go on with every series that a former start left with points to do."""
        for folder in self._spool.series_folders():
            try:
                series = _read(folder)
            except (ZstackdError, OSError) as error:
                _log.error("series %s cannot go on: %s", folder.run_id, error)
                continue
            except DAMAGE:
                said = "series %s cannot go on: its journal is damaged; submit %s again"
                _log.error(said, folder.run_id, folder.request)
                continue
            if series is not None:
                self.add(series)

    def begin(self, folder: RunFolder) -> None:
        """Begin an accepted series."""
        series = _read(folder)
        if series is not None:
            self.add(series)

    def add(self, series: _Series) -> None:
        """Take a series up."""
        with self._lock:
            self._active[series.series_id] = series

    def summaries(self) -> list[SeriesSummary]:
        """Return every active series, oldest first."""
        with self._lock:
            return [self._active[key].summary() for key in sorted(self._active)]

    def find(self, series_id: str) -> SeriesSummary | None:
        """Return an active series; None where there is none of that id."""
        with self._lock:
            series = self._active.get(series_id)
            return None if series is None else series.summary()

    def next_due_s(self) -> float:
        """Return the seconds until a point is due whose turn it is; a large number where none."""
        now = self._now()
        with self._lock:
            idle = [s for s in self._active.values() if not self._is_open(s.current)]
        waits = [(s.schedule.due(s.upcoming) - now).total_seconds() for s in idle]
        return max(0.0, min(waits, default=1e9))

    def turn(self) -> None:
        """Queue every point whose time has come; a series has one run in the queue at most."""
        step_s = self._steps.step_s()
        with self._lock:
            if step_s:
                self._keep_distances(step_s)
            for series in list(self._active.values()):
                try:
                    self._advance(series)
                except StorageError as error:
                    self._say_trouble(series.series_id, str(error))
                else:
                    self._trouble.pop(series.series_id, None)

    def cancel(self, series_id: str, reason: str) -> str | None:
        """End a series; returns its run in the queue, if any. KeyError where it is not active."""
        with self._lock:
            series = self._active[series_id]
            self._end(series, reason)
            return series.current if self._is_open(series.current) else None

    def _say_trouble(self, series_id: str, trouble: str) -> None:
        """Say once, not at every turn, what keeps a series from going on."""
        if self._trouble.get(series_id) != trouble:
            self._trouble[series_id] = trouble
            _log.error("series %s: %s; trying again", series_id, trouble)

    def _keep_distances(self, step_s: float) -> None:
        """Move the points to come with a clock that was set, see `goes_along`.

        They would all be late at once, or wait for as long as the clock was set back.
        """
        count = 0
        for series in list(self._active.values()):
            if series.goes_along(self._boot):
                count += 1
                self._active[series.series_id] = series.moved(step_s)
                try:
                    with self._spool.series_journal(series.folder) as journal:
                        journal.append("clock_set", seconds=round(step_s, 3))
                except StorageError as error:
                    self._say_trouble(series.series_id, str(error))
        _log.log(
            logging.WARNING if count else logging.INFO,
            "the clock was set %s by %.0f s; %d series keep the distances of their points",
            "forward" if step_s > 0 else "back", abs(step_s), count,
        )  # fmt: skip

    def _advance(self, series: _Series) -> None:
        if self._is_open(series.current):
            return
        now = self._now()
        if series.upcoming < series.schedule.count:
            series = self._without_late(series, now)
        if series.upcoming >= series.schedule.count:
            self._end(series, "every point was done")
        elif series.schedule.due(series.upcoming) <= now:
            series = self._queued(series, now)
        if series.series_id in self._active:
            self._active[series.series_id] = series

    def _without_late(self, series: _Series, now: datetime) -> _Series:
        """Return the series behind the points that its policy skips, after saying so."""
        first, schedule = series.upcoming, series.schedule
        point = first
        if series.run.when_late == "skip":
            while point < schedule.count and self._is_late(series, point, now):
                point += 1
        if point == first:
            return series
        with self._spool.series_journal(series.folder) as journal:
            late_s = schedule.late_s(first, now)
            journal.append("point", point=first, last=point - 1, skipped=True, late_s=late_s)
        _log.warning(
            "series %s: points %d to %d skipped: late by up to %.1f s",
            series.series_id, first, point - 1, late_s,
        )  # fmt: skip
        return replace(series, upcoming=point, skipped=series.skipped + point - first)

    def _is_late(self, series: _Series, point: int, now: datetime) -> bool:
        return series.schedule.late_s(point, now) > series.run.late_after_s

    def _queued(self, series: _Series, now: datetime) -> _Series:
        point = series.upcoming
        due, late_s = series.schedule.due(point), series.schedule.late_s(point, now)
        folder = self._spool.accept_again(
            series.folder,
            run_id=point_id(series.series_id, point),
            name=series.run.name,
            series=series.series_id,
            point=point,
            priority=series.run.priority,
            due=due.isoformat() if series.schedule.timed else None,
        )
        with self._spool.series_journal(series.folder) as journal:
            journal.append("point", point=point, run=folder.run_id, late_s=round(late_s, 3))
        if self._is_late(series, point, now):
            _log.warning("series %s: point %d is late by %.1f s", series.series_id, point, late_s)
        if self._is_open(folder.run_id):
            self._backlog.put(job_of(folder, series.run, due if series.schedule.timed else None))
        return replace(series, upcoming=point + 1, current=folder.run_id)

    def _end(self, series: _Series, reason: str) -> None:
        with self._spool.series_journal(series.folder) as journal:
            journal.append("series_ended", reason=reason, skipped=series.skipped)
        del self._active[series.series_id]
        _log.info("series %s ended: %s", series.series_id, reason)

    def _is_open(self, run_id: str | None) -> bool:
        if run_id is None:
            return False
        summary = self._catalogue.get(run_id)
        return summary is not None and not summary.ended


def job_of(folder: RunFolder, run: Run, due: datetime | None) -> Job:
    """Return the job of one run of a series."""
    skip_after: float | None = None
    if due is not None and run.when_late == "skip":
        skip_after = (due + timedelta(seconds=run.late_after_s)).timestamp()
    return Job(
        folder=folder,
        priority=run.priority,
        due_at=None if due is None else due.timestamp(),
        skip_after=skip_after,
    )


def _read(folder: RunFolder) -> _Series | None:
    """Return a series as its journal tells it; None where it has ended."""
    entries = read_journal(folder.journal)
    if any(entry["event"] == "series_ended" for entry in entries):
        return None
    begins = datetime.fromisoformat(entries[0]["begins"])
    begins += timedelta(seconds=sum(e["seconds"] for e in entries if e["event"] == "clock_set"))
    run = load_run(folder.request)
    points = [entry for entry in entries if entry["event"] == "point"]
    return _Series(
        folder=folder,
        run=run,
        schedule=schedule_of(run, begins, source=str(folder.request)),
        upcoming=max((int(p.get("last", p["point"])) + 1 for p in points), default=0),
        skipped=_count_skipped(points),
        boot=entries[0].get("boot"),
        current=next((p["run"] for p in reversed(points) if "run" in p), None),
    )


def _count_skipped(points: Iterable[dict[str, object]]) -> int:
    return sum(int(str(p["last"])) - int(str(p["point"])) + 1 for p in points if p.get("skipped"))
