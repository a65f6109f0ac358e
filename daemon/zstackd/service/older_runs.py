"""Ended runs that the catalogue no longer holds, but whose frames or results still take room."""

from dataclasses import replace

from zstackd.service.catalogue import summary_of
from zstackd.service.house import House
from zstackd.service.outbox import how_consumed
from zstackd.store.run_state import RunSummary
from zstackd.store.spool import RunFolder


class OlderRuns:
    """Each is read once, and again when it was touched; those with nothing left are passed over."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._known: dict[str, RunSummary] = {}
        self._empty: set[str] = set()

    def with_something_left(self) -> list[RunSummary]:
        """Return the ended runs that still have frames or a result."""
        for folder in self._house.spool.folders():
            if self._house.catalogue.get(folder.run_id) is None:
                self._look_at(folder)
        return list(self._known.values())

    def _look_at(self, folder: RunFolder) -> None:
        run_id = folder.run_id
        if run_id in self._empty:
            return
        run = self._known.get(run_id) or summary_of(folder)
        has_frames = run.frames_kept and folder.frames.is_dir()
        has_result = run.result is not None and run.result.is_dir()
        if run.ended and (has_frames or has_result):
            self._known[run_id] = self._with_consumption(replace(run, frames_kept=has_frames))
            return
        self._known.pop(run_id, None)
        self._empty.add(run_id)

    def _with_consumption(self, run: RunSummary) -> RunSummary:
        """Return the run with what a consumer did to its result since it was forgotten."""
        try:
            place = self._house.publisher("").place()
        except OSError:
            return run
        return replace(run, consumed=run.consumed or how_consumed(run, place) is not None)
