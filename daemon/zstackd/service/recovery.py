"""At start: what a crash or power cut left open is closed, or handed back to be gone on with."""

import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from zstackd.runs.outcome import result_already_out
from zstackd.runs.past import Past, past_of
from zstackd.runs.publish import Publisher
from zstackd.runs.runner import close_as_out
from zstackd.store.arrival import finish_moves
from zstackd.store.journal import DAMAGE
from zstackd.store.spool import OpenRun, RunFolder, Spool
from zstackd_config.errors import StorageError

_HIDDEN = re.compile(r"\.(?P<run_id>[^.]+)\.(?P<owner>[^.]+)\.tmp")
_log = logging.getLogger(__name__)


def recover(spool: Spool, output: Path, check: Callable[[], None] = lambda: None) -> list[OpenRun]:
    """Return the runs that wait for the service, begun ones too, in order of acceptance.

    A run of `zstackd run` has nobody who would go on with it: it is closed as what it is, and its
    frames stay. What is left in the output folder of runs that have ended is removed. `check` is
    called before each run is read, and may raise.
    """
    finish_moves(spool.inbox, (spool.runs, spool.series))
    _remove_never_accepted(spool)
    runs = spool.open_runs(check)
    for run in runs:
        if run.is_foreground:
            _close_as_it_is(spool, run)
    waiting = [run for run in runs if not run.is_foreground]
    try:
        _remove_left_behind(spool, output, {run.folder.run_id for run in waiting})
    except (OSError, StorageError) as error:
        # Nobody waits for it; an output folder that is ill must not keep the service from serving.
        _log.warning("leftovers of ended runs stay in the output folder: %s", error)
    return waiting


def _remove_never_accepted(spool: Spool) -> None:
    for folder in (*spool.runs.iterdir(), *spool.series.iterdir()):
        if folder.is_dir() and not RunFolder(folder).request.exists():
            _log.warning("%s: removed; its request never arrived", folder)
            shutil.rmtree(folder, ignore_errors=True)


def _remove_left_behind(spool: Spool, output: Path, waiting: set[str]) -> None:
    """Remove hidden folders of our own ended runs; those of anybody else are left alone."""
    if not output.is_dir():
        return
    for path in output.iterdir():
        hidden = _HIDDEN.fullmatch(path.name)
        if hidden is None or hidden["owner"] != spool.owner or hidden["run_id"] in waiting:
            continue
        _log.warning("%s: removed; it was never finished", path)
        Publisher(output, hidden["run_id"], spool.owner).discard()


def fail_damaged(spool: Spool, run: OpenRun, *, hook: bool = False) -> None:
    """Close a run whose journal cannot tell any more what was done."""
    reason = (
        "its journal is damaged: nobody can tell what was done; its frames are kept, and "
        f"{run.folder.request} can be submitted again"
    )
    with spool.journal(run.folder) as journal:
        journal.append("failed", reason=reason, hook=hook)
    _log.error("%s: failed: %s", run.folder.run_id, reason)


def _close_as_it_is(spool: Spool, run: OpenRun) -> None:
    try:
        _close(spool, run)
    except DAMAGE:
        fail_damaged(spool, run)
    except StorageError as error:
        # As a rule another user's; the service has other runs to do.
        _log.error("%s: left alone: %s", run.folder.run_id, error)


def _close(spool: Spool, run: OpenRun) -> None:
    """Close a run as what it is: published where its result is out, else interrupted."""
    run_id, past, started = run.folder.run_id, past_of(run.history), run.started
    publisher = None if started is None else Publisher(Path(started["output"]), run_id, spool.owner)
    with spool.journal(run.folder) as journal:
        out = None if publisher is None else _result_of(past, publisher)
        if out is not None:
            close_as_out(journal, past, out)
            _log.info("%s: was published as %s before zstackd ended", run_id, out)
            return
        frames = len(past.frames)
        reason = f"zstackd ended without closing the run; {frames} frames are stored"
        journal.append("interrupted", reason=reason, frames=frames)
        _log.warning("%s: closed as interrupted: %s", run_id, reason)
    if publisher is not None:
        _discard(publisher)


def _discard(publisher: Publisher) -> None:
    try:
        publisher.discard()
    except StorageError as error:
        _log.warning("%s: %s", publisher.run_id, error)


def _result_of(past: Past, publisher: Publisher) -> Path | None:
    try:
        return result_already_out(past, publisher)
    except StorageError as error:
        _log.warning("%s: %s", publisher.run_id, error)
        return None
