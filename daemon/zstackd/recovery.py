"""At start: say truly what became of runs that a crash, kill or power cut left open."""

import logging
import shutil
from pathlib import Path

from pydantic import ValidationError

from zstackd.journal import Journal
from zstackd.manifest import Manifest
from zstackd.publish import Publisher
from zstackd.spool import OpenRun, RunFolder, Spool

_log = logging.getLogger(__name__)


def recover(spool: Spool) -> None:
    """Close every run that was begun and never ended; runs that were only accepted stay queued.

    A result that is already out is noted as published; a half-built one is removed. Frames stay.
    """
    _remove_never_accepted(spool)
    for run in spool.open_runs():
        if run.started is not None:
            _close(run, Path(run.started["output"]))


def _remove_never_accepted(spool: Spool) -> None:
    for folder in spool.runs.iterdir():
        if folder.is_dir() and not RunFolder(folder).request.exists():
            _log.warning("%s: removed; its request never arrived", folder)
            shutil.rmtree(folder)


def _close(run: OpenRun, output: Path) -> None:
    run_id = run.folder.run_id
    result = _published_before(run, output)
    if result is None:
        Publisher(output, run_id).discard()
    with Journal(run.folder.journal) as journal:
        if result is not None:
            journal.append("published", result=str(result), found_at_start=True)
            _log.info("%s: was published as %s before zstackd ended", run_id, result)
            return
        frames = sum(entry["event"] == "frame" for entry in run.history)
        reason = f"zstackd ended without closing the run; {frames} frames are stored"
        journal.append("interrupted", reason=reason, frames=frames)
        _log.warning("%s: closed as interrupted: %s", run_id, reason)


def _published_before(run: OpenRun, output: Path) -> Path | None:
    """Return the result that the last line of the journal was about to let appear, if it did."""
    last = run.history[-1]
    if last["event"] != "publishing":
        return None
    result = output / str(last["name"])
    try:
        manifest = Manifest.model_validate_json((result / "manifest.json").read_bytes())
    except (OSError, ValidationError):
        return None
    return result if manifest.run_id == run.folder.run_id else None
