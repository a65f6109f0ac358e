"""One accepted run on open devices: whatever happens, its journal says what became of it."""

import logging
from pathlib import Path

from zstackd.attempt import Attempt, Published
from zstackd.frame_store import drop_frames
from zstackd.halt import Halt
from zstackd.journal import Journal
from zstackd.progress import Tell
from zstackd.publish import Publisher
from zstackd.spool import RunFolder
from zstackd_config.errors import Interrupted, StorageError, ZstackdError
from zstackd_config.rig import Rig
from zstackd_drivers.factory import Devices

_log = logging.getLogger(__name__)


def run_accepted(
    folder: RunFolder, *, rig: Rig, devices: Devices, output: Path, halt: Halt, tell: Tell
) -> Published:
    """Do an accepted run and return its result; raises what stopped it.

    After an error the devices must be closed and opened again: they were stopped.
    """
    output = output.absolute()
    publisher = Publisher(output, folder.run_id)
    with Journal(folder.journal) as journal:
        journal.append("started", output=str(output))
        try:
            published = Attempt(
                rig=rig,
                devices=devices,
                folder=folder,
                journal=journal,
                publisher=publisher,
                halt=halt,
                tell=tell,
            ).published()
        except BaseException as error:  # noqa: BLE001 - raised again, as what came first
            cause = _cause(halt, error)
            _close(journal, publisher, cause)
            if rig.frames.keep == "never":
                _drop(folder, journal)
            raise cause from (None if cause is error else error)
        if rig.frames.keep != "always":
            _drop(folder, journal)
        return published


def _cause(halt: Halt, error: BaseException) -> BaseException:
    """Return what came first: an error of another thread shows here as a mere interruption."""
    halt.fail(error)
    return halt.cause or error


def _close(journal: Journal, publisher: Publisher, cause: BaseException) -> None:
    asked = isinstance(cause, Interrupted)
    known = isinstance(cause, ZstackdError)
    reason = str(cause) if known else f"internal error: {type(cause).__name__}: {cause}"
    try:
        publisher.discard()
        journal.append("interrupted" if asked else "failed", reason=reason)
    except (StorageError, OSError) as error:
        # A full disk must not hide why the run ended; the next start closes the journal.
        _log.warning("%s: the journal could not be closed: %s", publisher.run_id, error)


def _drop(folder: RunFolder, journal: Journal) -> None:
    journal.append("frames_dropped")
    drop_frames(folder.frames)
