"""The queue: accepted runs in order of priority and arrival, each from its time on."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from zstackd.runs.gate import Gate
from zstackd.runs.halt import Halt
from zstackd.store.room import NoRoom
from zstackd.store.spool import RunFolder


@dataclass(frozen=True, slots=True)
class Hold:
    """What holds a run up: `why` in words; `lack` is the same however the figures in it change."""

    why: str
    lack: str

    @classmethod
    def by(cls, error: Exception) -> "Hold":
        """Return what an error tells."""
        return cls(str(error), error.lack if isinstance(error, NoRoom) else str(error))


@dataclass(eq=False, slots=True)
class Job:
    """One run on its way: in the queue, or in work.

    Times are in seconds of `time.time`. Before `ready_at` the run is not begun; `due_at` is when
    its series wants it, and after `skip_after` it is skipped. Before `again_s`, which is of
    `time.monotonic`, it is not tried again. `halt` and `gate` stop
    and pause it wherever it is. `begun` tells that frames were captured before, `needs_rig` that
    some are still to be. `held_for` says what it waits for, other than time and its turn;
    `tries` counts how often in vain. `retake` is an operator's word that damaged frames may be
    taken again, `reserved_bytes` what the run will still write at most.
    """

    folder: RunFolder
    priority: int = 0
    ready_at: float = 0.0
    again_s: float = 0.0
    due_at: float | None = None
    skip_after: float | None = None
    begun: bool = False
    needs_rig: bool = True
    held_for: Hold | None = None
    tries: int = 0
    retake: bool = False
    reserved_bytes: int = 0
    halt: Halt = field(default_factory=Halt)
    gate: Gate = field(default_factory=Gate)

    @property
    def run_id(self) -> str:
        """Return the run's id."""
        return self.folder.run_id


class Backlog:
    """Jobs that wait, and the one in work; safe from any thread."""

    def __init__(self, wall_s: Callable[[], float] = time.time) -> None:
        self._wall_s = wall_s
        self._changed = threading.Condition()
        self._waiting: list[Job] = []
        self._in_work: Job | None = None
        self._known: set[str] = set()
        self._closed = False

    def put(self, job: Job) -> None:
        """Add a job behind all others of its priority; a run that is there stays as it is."""
        with self._changed:
            if job.run_id not in self._known:
                self._known.add(job.run_id)
                self._waiting.append(job)
                self._changed.notify_all()

    def put_back(self, job: Job) -> None:
        """Let the job in work wait again, before all others of its priority."""
        with self._changed:
            self._in_work = None
            self._known.add(job.run_id)
            self._waiting.insert(0, job)
            self._changed.notify_all()

    def take(self, timeout_s: float, *, able: Callable[[Job], bool]) -> Job | None:
        """Return the first job that is ready and that `able` accepts; None where none came."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while not self._closed:
                job = self._next(able)
                if job is not None:
                    self._waiting.remove(job)
                    self._in_work = job
                    return job
                left = min(end - time.monotonic(), self._until_ready_s())
                if end <= time.monotonic():
                    return None
                self._changed.wait(max(left, 0.0))
            return None

    def done(self) -> None:
        """Say that the job in work is finished."""
        with self._changed:
            if self._in_work is not None:
                self._known.discard(self._in_work.run_id)
            self._in_work = None
            self._changed.notify_all()

    def remove(self, run_id: str) -> Job | None:
        """Take a waiting job out of the queue; None where it does not wait there."""
        with self._changed:
            job = next((job for job in self._waiting if job.run_id == run_id), None)
            if job is not None:
                self._known.discard(run_id)
                self._waiting.remove(job)
            return job

    def find(self, run_id: str) -> Job | None:
        """Return a job, waiting or in work."""
        with self._changed:
            return next((job for job in self._jobs() if job.run_id == run_id), None)

    def in_work(self) -> Job | None:
        """Return the job in work."""
        with self._changed:
            return self._in_work

    def waiting(self) -> list[Job]:
        """Return the jobs that wait, in the order in which they would be taken now."""
        with self._changed:
            return sorted(self._waiting, key=_rank)

    def wake(self) -> None:
        """Let whoever waits look again: a job may have become able."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Hand out no job any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _jobs(self) -> list[Job]:
        return self._waiting + ([self._in_work] if self._in_work else [])

    def _next(self, able: Callable[[Job], bool]) -> Job | None:
        now_s = self._wall_s()
        ready = (
            job
            for job in sorted(self._waiting, key=_rank)
            if job.ready_at <= now_s and job.again_s <= time.monotonic() and job.gate.reason is None
        )
        return next((job for job in ready if able(job)), None)

    def _until_ready_s(self) -> float:
        now_s, again_s = self._wall_s(), time.monotonic()
        left = [max(job.ready_at - now_s, job.again_s - again_s) for job in self._waiting]
        return min((left_s for left_s in left if left_s > 0), default=1e9)


def _rank(job: Job) -> int:
    return -job.priority
