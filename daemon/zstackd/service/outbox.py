"""The output folder as consumers leave it: results taken away or acknowledged are noted."""

import logging
from pathlib import Path
from typing import Final

from zstackd.runs.outcome import manifest_in
from zstackd.service.house import House
from zstackd.service.said import Said
from zstackd.store.run_state import RunSummary
from zstackd.store.spool import RunFolder
from zstackd_config.errors import StorageError

ACKNOWLEDGED: Final = "acknowledged"
AT_ONCE: Final = 100
"""So many of the newest results are looked at each time, and as many of the others in turn."""

_log = logging.getLogger(__name__)


class Outbox:
    """Looks after the results of our own runs; everything else there is left alone."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._turn = 0
        self._said = Said(_log)

    def look(self) -> None:
        """Note in its journal each result that a consumer has taken or acknowledged.

        Takes no longer for thousands of results than for some: the older ones wait their turn.
        """
        self._said.turn()
        place = self._place()
        if place is None:
            return
        there = [
            run
            for run in self._house.catalogue.listed()
            if run.result is not None and not run.consumed
        ]
        for run in (*there[:AT_ONCE], *self._in_turn(there[AT_ONCE:])):
            how = how_consumed(run, place)
            if how is not None:
                self._note(run, how)

    def _in_turn(self, older: list[RunSummary]) -> list[RunSummary]:
        start = self._turn if self._turn < len(older) else 0
        self._turn = start + AT_ONCE
        return older[start : self._turn]

    def _place(self) -> str | None:
        """Return which output folder is there; None where none is."""
        try:
            return self._house.publisher("").place()
        except OSError:
            return None

    def _note(self, run: RunSummary, how: str) -> None:
        try:
            with self._house.spool.journal(
                RunFolder(self._house.spool.runs / run.run_id)
            ) as journal:
                journal.append("consumed", how=how)
        except StorageError as error:
            self._said.warn(f"{run.run_id}: {error}")
            return
        _log.info("%s: its result was %s", run.run_id, how)


def how_consumed(run: RunSummary, place: str) -> str | None:
    """Return what a consumer did with a result; None where nothing, or nobody can know."""
    result = run.result
    if result is None or not run.ended:
        return None
    try:
        if is_there(result / ACKNOWLEDGED):
            return ACKNOWLEDGED
        # Only the same folder can show that a result is gone: another one may be mounted there now.
        gone = run.place == place and not is_there(result)
    except OSError:
        return None  # closed to us, or its server does not answer
    return "taken" if gone else None


def is_there(path: Path) -> bool:
    """Return whether a file or folder exists; raises OSError where nobody can know."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def is_ours_alone(run: RunSummary) -> bool:
    """Return whether a result is still just what was published, acknowledgement aside."""
    if run.result is None:
        return False
    manifest = manifest_in(run.result)
    if manifest is None or manifest.run_id != run.run_id:
        return False
    known = {file.name for file in manifest.files} | {"manifest.json", ACKNOWLEDGED}
    return {path.name for path in run.result.iterdir()} <= known
