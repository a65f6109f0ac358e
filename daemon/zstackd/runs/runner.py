"""One accepted run: whatever happens, its journal says what became of it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zstackd.runs.attempt import Attempt
from zstackd.runs.frame_store import drop_frames
from zstackd.runs.halt import Cancelled
from zstackd.runs.outcome import result_already_out
from zstackd.runs.past import Past
from zstackd.runs.task import Published, Task
from zstackd.store.journal import Event, Journal
from zstackd_config.errors import Interrupted, StorageError, ZstackdError
from zstackd_drivers.factory import Devices

RUN_THREADS = ("focus", "capture", "frame writer", "stacking", "publishing")
_log = logging.getLogger(__name__)

Judge = Callable[[BaseException], Event | None]
"""What an error makes of a run: the event that ends it; None where it stays open."""


def usual_end(error: BaseException) -> Event | None:
    """Return how a run ends that nobody will go on with."""
    if isinstance(error, Cancelled):
        return "cancelled"
    return "interrupted" if isinstance(error, Interrupted) else "failed"


def run_with_rig(task: Task, devices: Devices, *, judge: Judge = usual_end) -> Published:
    """Do an accepted run, or go on with it; raises what stopped it."""
    with _closed_by(task, judge):
        task.journal.append("started", output=str(task.publisher.output))
        attempt = Attempt(task)
        published = _ended(task, attempt.with_rig(devices))
    attempt.go_back(devices)
    return published


def run_from_frames(
    task: Task, *, partial_because: str | None = None, judge: Judge = usual_end
) -> Published | None:
    """Finish a run from the frames that are there; None where its result is out already."""
    with _closed_by(task, judge):
        out = result_already_out(task.past, task.publisher)
        if out is not None:
            close_as_out(task.journal, task.past, out, hook=_hook_due(task, "published"))
            _drop_frames(task, published=True)
            return None
        task.journal.append("started", output=str(task.publisher.output), from_frames=True)
        published = Attempt(task).from_frames(partial_because=partial_because)
        return _ended(task, published, partial_because)


def close_as_out(journal: Journal, past: Past, result: Path, *, hook: bool = False) -> None:
    """Close the journal of a run whose result appeared before zstackd ended."""
    because = (past.publishing or {}).get("partial_because")
    if because is None:
        journal.append("published", result=str(result), found=True, hook=hook)
        return
    journal.append(
        "interrupted",
        reason=because,
        result=str(result),
        partial=True,
        frames=len(past.frames),
        hook=hook,
    )


def _ended(task: Task, published: Published, partial_because: str | None = None) -> Published:
    """Close the journal of a run whose result is out."""
    result = str(published.folder)
    if partial_because is None:
        task.journal.append("published", result=result, hook=_hook_due(task, "published"))
    else:
        task.journal.append(
            "interrupted",
            reason=partial_because,
            result=result,
            partial=True,
            frames=len(published.manifest.frames),
            hook=_hook_due(task, "interrupted"),
        )
    _drop_frames(task, published=True)
    return published


@contextmanager
def _closed_by(task: Task, judge: Judge) -> Iterator[None]:
    try:
        yield
    except BaseException as error:  # noqa: BLE001 - raised again, as what came first
        cause = _cause(task, error)
        _close(task, cause, judge(cause))
        raise cause from (None if cause is error else error)
    finally:
        for name in RUN_THREADS:
            task.pulses.end(name)


def _cause(task: Task, error: BaseException) -> BaseException:
    """Return what came first: an error of another thread shows here as a mere interruption."""
    task.halt.fail(error)
    return task.halt.cause or error


def _close(task: Task, cause: BaseException, end: Event | None) -> None:
    known = isinstance(cause, ZstackdError)
    reason = str(cause) if known else f"internal error: {type(cause).__name__}: {cause}"
    try:
        if end is None:
            task.journal.append("waiting", reason=reason)
            return
        # First the journal: without an end, a hidden folder that is gone means that it is out.
        task.journal.append(end, reason=reason, hook=_hook_due(task, end))
        task.publisher.discard()
        _drop_frames(task, published=False)
    except (StorageError, OSError) as error:
        # A full disk must not hide why the run ended; the next start closes the journal.
        _log.warning("%s: the journal could not be closed: %s", task.folder.run_id, error)


def _hook_due(task: Task, end: Event) -> bool:
    service = task.rig.service
    if end == "published":
        return service.on_published is not None
    return end in {"failed", "interrupted"} and service.on_failed is not None


def _drop_frames(task: Task, *, published: bool) -> None:
    keep = task.rig.frames.keep
    if keep == "never" or (published and keep == "unless_published"):
        task.journal.append("frames_dropped")
        drop_frames(task.folder.frames)
