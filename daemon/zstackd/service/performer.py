"""Does one job of the service, and decides what becomes of a run that could not be finished."""

import logging
import time
from dataclasses import replace
from typing import Final

from zstackd.runs.frame_store import StoredFrame
from zstackd.runs.halt import Cancelled, Halt
from zstackd.runs.past import Past, damaged, past_of
from zstackd.runs.plan import Plan, plan_run
from zstackd.runs.progress import Stage
from zstackd.runs.runner import Judge, run_from_frames, run_with_rig, usual_end
from zstackd.runs.task import Task
from zstackd.service.backlog import Hold, Job
from zstackd.service.hardware import NotReady
from zstackd.service.house import House
from zstackd.service.lease import RigBusy
from zstackd.store.durable import probe_writable, storage_at
from zstackd.store.journal import Event, read_journal
from zstackd.store.room import NoMemory, require_room
from zstackd.store.run_state import RunState
from zstackd.system.thrift import give_back
from zstackd_config.errors import Interrupted, StorageError, ZstackdError
from zstackd_config.load import parse_run, read_document
from zstackd_drivers.errors import CameraHung

RETRY_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses before a run is tried again that found no room; the last one is kept."""

MOST_ATTEMPTS_OF_A_HUNG_CAMERA: Final = 3
"""How often a run is begun before a camera that hangs ends it."""

_AFTER_CAPTURE: Final = frozenset({RunState.STACKING, RunState.PUBLISHING})
_log = logging.getLogger(__name__)


class NeedsOperator(ZstackdError):
    """Only a person can decide how a run goes on."""


class Performer:
    """Takes jobs in work to their end, or back into the queue."""

    def __init__(self, house: House) -> None:
        self._house = house

    def perform(self, job: Job) -> None:
        """Do this job; afterwards it is ended, or waits in the backlog again."""
        if self._house.forget_if_deleted(job.run_id, level=logging.ERROR):
            self._house.backlog.done()
            return
        try:
            self._run(job)
        except Cancelled as error:
            _log.warning("%s: cancelled: %s", job.run_id, error)
        except Interrupted as error:
            _log.warning("%s: interrupted: %s", job.run_id, error)
        except (NeedsOperator, RigBusy, NotReady) as error:
            self._put_back(job, Hold.by(error))
        except StorageError as error:
            if isinstance(error, NoMemory):
                _log.error("%s: failed: %s", job.run_id, error)
            else:
                self._put_back(job, Hold.by(error))
        except CameraHung as error:
            _log.error("%s: the camera hangs: %s", job.run_id, error)
        except ZstackdError as error:
            _log.error("%s: failed: %s", job.run_id, error)
            self._close(job, str(error))
        except Exception as error:  # noqa: BLE001 - one run must not end the service
            _log.exception("%s: failed by an internal error", job.run_id)
            self._close(job, f"internal error: {type(error).__name__}: {error}")
        finally:
            give_back()
            self._house.backlog.done()

    def _close(self, job: Job, reason: str) -> None:
        """Close the journal of a run that failed before it was begun, or by an error of ours.

        After an error elsewhere in the service it stays open: the next start goes on with it.
        """
        house, summary = self._house, self._house.catalogue.get(job.run_id)
        if house.stop.event.is_set() or summary is None or summary.ended:
            return
        try:
            with house.spool.journal(job.folder) as journal:
                hook = house.rig.service.on_failed is not None
                journal.append("failed", reason=reason, hook=hook)
        except StorageError as error:
            _log.warning("%s: %s", job.run_id, error)

    def _run(self, job: Job) -> None:
        house = self._house

        def tell(stage: Stage, done: int, total: int) -> None:
            house.events.tell("progress", job.run_id, stage=stage, done=done, total=total)

        with job.halt.following(house.stop), house.spool.journal(job.folder) as journal:
            task = Task(
                rig=house.rig,
                folder=job.folder,
                journal=journal,
                publisher=house.publisher(job.run_id),
                halt=job.halt,
                past=past_of(read_journal(job.folder.journal)),
                tell=tell,
                gates=(house.gate, job.gate),
                pulses=house.pulses,
            )
            self._go_on(job, task)

    def _go_on(self, job: Job, task: Task) -> None:
        """Begin the run, or go on where its journal ends."""
        if job.halt.cancelled:
            task.journal.append("cancelled", reason="cancelled while it waited")
            return
        if self._is_skipped(job, task):
            return
        with storage_at(task.folder.path):
            self._require_storage(job, task)
        bad = _damaged(task) if task.past.needs_frames else []
        if task.past.captured and not bad:
            run_from_frames(task, judge=self._judge(job, task.past.attempts + 1))
            _log.info("%s: finished from its frames", job.run_id)
            return
        changes = [] if task.past.planned is None else task.past.planned.changes(task.rig)
        if changes and (job.retake or not task.past.frames):
            task, changes, bad = replace(task, past=task.past.begun_anew()), [], []
        if task.past.frames:
            why = _of_another_rig(task.past, changes) or self._why_not_resumed(job, bad)
            task = replace(task, past=_without(task.past, bad))
            if why is not None:
                self._by_policy(job, task, why)
                return
        with self._house.hardware.lent() as devices:
            published = run_with_rig(task, devices, judge=self._judge(job, task.past.attempts + 1))
        _log.info("%s: published %s", job.run_id, published.folder)

    def _is_skipped(self, job: Job, task: Task) -> bool:
        """Say by how much a point of a series is late; skip it where its policy says so."""
        if job.due_at is None or task.past.attempts:
            return False
        late_s, now = time.time() - job.due_at, time.time()
        if job.skip_after is not None and now > job.skip_after:
            task.journal.append("skipped", reason=f"its time passed {late_s:.1f} s ago")
            return True
        task.journal.append("late", seconds=round(late_s, 3))
        return False

    def _why_not_resumed(self, job: Job, bad: list[StoredFrame]) -> str | None:
        """Return why the run cannot go on at its next plane by itself."""
        if bad and not job.retake:
            names = ", ".join(frame.file for frame in bad[:3]) + (", …" if len(bad) > 3 else "")  # noqa: PLR2004
            return (
                f"{len(bad)} captured frames are no longer what was written ({names}): resume the "
                "run to take them again, or cancel it"
            )
        return self._house.awaits_operator()

    def _by_policy(self, job: Job, task: Task, why: str) -> None:
        if self._house.rig.service.when_not_resumable == "wait":
            job.gate.shut(why)
            raise NeedsOperator(why)
        run_from_frames(task, partial_because=why, judge=self._judge(job, task.past.attempts + 1))
        _log.warning("%s: ended with part of its planes: %s", job.run_id, why)

    def _require_storage(self, job: Job, task: Task) -> None:
        """Raise StorageError, before anything is begun, where there is no room for the rest.

        An output folder that is away or closed does not keep a run from being captured.
        """
        past, publisher = task.past, task.publisher
        if past.publishing is not None:
            return
        try:
            publisher.require_place()
            probe_writable(publisher.output)
        except StorageError as error:
            if past.captured:
                raise
            _log.warning("%s: captured all the same: %s", job.run_id, error)
        if past.planned is not None:
            plan, missing = past.planned.plan, past.missing()
        else:
            plan = self._planned(task)
            missing = list(range(len(plan.planes_um)))
        job.reserved_bytes = len(missing) * plan.frame_bytes + plan.result_bytes
        require_room(
            (task.folder.path, len(missing) * plan.frame_bytes),
            (publisher.output, plan.result_bytes),
            reserve_bytes=task.reserve_bytes,
        )

    def _planned(self, task: Task) -> Plan:
        """Return the plan of a run that is not begun yet, as far as it is known without moving."""
        request = task.folder.request
        content = read_document(request)
        return plan_run(
            task.rig,
            parse_run(content, name=str(request)),
            source=str(request),
            content=content,
            camera=self._house.hardware.camera(),
        )

    def _judge(self, job: Job, attempt: int) -> Judge:
        def judge(error: BaseException) -> Event | None:
            stopped_by = self._house.stop.cause
            if not isinstance(stopped_by, Interrupted | None):
                return None  # the next start goes on with it, as after a crash
            if isinstance(error, StorageError) and not isinstance(error, NoMemory):
                return None
            if isinstance(error, CameraHung) and attempt < MOST_ATTEMPTS_OF_A_HUNG_CAMERA:
                return None  # a new process goes on with it
            summary = self._house.catalogue.get(job.run_id)
            captured = summary is not None and summary.state in _AFTER_CAPTURE
            if captured and isinstance(error, Interrupted) and not isinstance(error, Cancelled):
                return None  # nothing moves any more: the next start finishes it from its frames
            return usual_end(error)

        return judge

    def _put_back(self, job: Job, hold: Hold) -> None:
        """Let the job wait: for room, which is looked for again soon, or for an operator."""
        summary = self._house.catalogue.get(job.run_id)
        if job.held_for is not None and job.held_for.lack == hold.lack:
            hold = job.held_for  # said already; what is free changes all the time
        else:
            _log.warning("%s: waits: %s", job.run_id, hold.why)
        why = hold.why
        if summary is None or (summary.state, summary.reason) != (RunState.WAITING, why):
            self._say_waiting(job, why)
        self._house.backlog.put_back(
            replace(
                job_again(job, past_of(read_journal(job.folder.journal))),
                held_for=hold,
                tries=job.tries + 1,
                again_s=time.monotonic() + RETRY_S[min(job.tries, len(RETRY_S) - 1)],
            )
        )

    def _say_waiting(self, job: Job, why: str) -> None:
        try:
            with self._house.spool.journal(job.folder) as journal:
                journal.append("waiting", reason=why)
        except StorageError as error:
            # There may be no room even for this line; the run waits all the same.
            _log.warning("%s: %s", job.run_id, error)


def job_again(job: Job, past: Past) -> Job:
    """Return the job with a halt that was not used up, and what its journal now says of it."""
    again = replace(
        job,
        halt=Halt(),
        begun=bool(past.frames),
        needs_rig=not past.captured,
    )
    if job.halt.cancelled:
        again.halt.cancel(f"{job.run_id} was cancelled")
    return again


def _of_another_rig(past: Past, changes: list[str]) -> str | None:
    """Return why frames of a rig that was changed are not gone on with."""
    if not changes:
        return None
    said = "; ".join(changes[:3]) + ("; …" if len(changes) > 3 else "")  # noqa: PLR2004
    return (
        f"the rig was changed after {len(past.frames)} planes ({said}): resume the run to take "
        "them all again, or after `zstackd reload` of the former rig.yaml to go on, or cancel it"
    )


def _damaged(task: Task) -> list[StoredFrame]:
    """Return the frames that do not verify; a stop does not wait for all of them to be read."""
    bad: list[StoredFrame] = []
    for frame in task.past.frames:
        task.halt.check()
        bad += damaged([frame], task.folder.frames)
    return bad


def _without(past: Past, bad: list[StoredFrame]) -> Past:
    lost = {frame.index for frame in bad}
    return replace(past, frames=tuple(f for f in past.frames if f.index not in lost))
