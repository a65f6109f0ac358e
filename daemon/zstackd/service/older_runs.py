"""Ended runs that the catalogue no longer holds, but whose frames or results still take room."""

from dataclasses import replace

from zstackd.service.catalogue import summary_of
from zstackd.service.house import House
from zstackd.service.outbox import how_consumed, is_there
from zstackd.store.run_state import RunSummary
from zstackd.store.spool import RunFolder
from zstackd_config.errors import StorageError


class OlderRuns:
    """Each is read once, and again when it was touched; those with nothing left are passed over."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._known: dict[str, RunSummary] = {}
        self._empty: set[str] = set()

    def with_something_left(self) -> list[RunSummary]:
        """Return the ended runs that still have frames or a result."""
        place = self._place()
        if place is not None:
            for folder in self._house.spool.folders():
                if self._house.catalogue.get(folder.run_id) is None:
                    self._look_at(folder, place)
        return list(self._known.values())

    def _place(self) -> str | None:
        """Return which output folder is there; None where it is away: what it holds is unknown."""
        publisher = self._house.publisher("")
        try:
            publisher.require_place()
            return publisher.place()
        except (OSError, StorageError):
            return None

    def _look_at(self, folder: RunFolder, place: str) -> None:
        run_id = folder.run_id
        if run_id in self._empty:
            return
        run = self._known.get(run_id) or summary_of(folder)
        has_frames = run.frames_kept and folder.frames.is_dir()
        try:
            has_result = run.result is not None and is_there(run.result)
        except OSError:
            return  # closed to us for now
        if run.ended and (has_frames or has_result):
            consumed = run.consumed or how_consumed(run, place) is not None
            self._known[run_id] = replace(run, frames_kept=has_frames, consumed=consumed)
            return
        self._known.pop(run_id, None)
        self._empty.add(run_id)
