"""Every run of the spool in one line each, kept up to date by the journals themselves."""

import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from zstackd.service.events import Events
from zstackd.store.journal import DAMAGE, read_milestones
from zstackd.store.run_state import MOST_ENDED, RunState, RunSummary
from zstackd.store.spool import RunFolder, Spool


class Catalogue:
    """Summaries of all runs; safe from any thread."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._lock = threading.Lock()
        self._runs: dict[str, RunSummary] = {}
        self._latest_frame: tuple[str, dict[str, Any]] | None = None

    def load(self, spool: Spool, check: Callable[[], None] = lambda: None) -> None:
        """Read what stands in the spool; `check` is called before each run, and may raise."""
        for folder in spool.folders():
            check()
            try:
                summary = summary_of(folder)
            except OSError:
                continue  # said by whoever looked for open runs
            with self._lock:
                self._runs[folder.run_id] = summary
        self._forget_old()

    def hear(self, run_id: str, entry: dict[str, Any]) -> None:
        """Take in an entry that was just written, and tell it as an event."""
        with self._lock:
            before = self._runs.get(run_id, RunSummary(run_id))
            after = before.after(entry)
            # One entry says nothing of a run that was forgotten.
            if run_id in self._runs or entry["event"] == "accepted":
                self._runs[run_id] = after
            if entry["event"] == "frame":
                self._latest_frame = run_id, entry
        facts = {key: value for key, value in entry.items() if key not in {"at", "event", "kind"}}
        self._events.tell(str(entry["event"]), run_id, **facts)
        if after.ended and not before.ended:
            self._forget_old()

    def get(self, run_id: str) -> RunSummary | None:
        """Return one run; None where the catalogue does not have it."""
        with self._lock:
            return self._runs.get(run_id)

    def latest_frame(self) -> tuple[str, dict[str, Any]] | None:
        """Return the run of the frame stored last, and its entry; None: none since the start."""
        with self._lock:
            return self._latest_frame

    def forget(self, run_id: str) -> None:
        """Drop a run whose folder was deleted."""
        with self._lock:
            self._runs.pop(run_id, None)

    def listed(
        self, *, states: Collection[RunState] | None = None, limit: int | None = None
    ) -> list[RunSummary]:
        """Return runs, the newest first, at most `limit`; only those in `states` where given."""
        with self._lock:
            runs = [run for run in self._runs.values() if states is None or run.state in states]
        runs.sort(key=lambda run: (run.accepted_at, run.run_id), reverse=True)
        return runs[:limit]

    def counts(self) -> dict[RunState, int]:
        """Return how many of the runs in memory are in each state."""
        counts = dict.fromkeys(RunState, 0)
        with self._lock:
            for run in self._runs.values():
                counts[run.state] += 1
        return counts

    def _forget_old(self) -> None:
        with self._lock:
            ended = [run for run in self._runs.values() if run.ended and not run.hook_due]
            if len(ended) <= MOST_ENDED:
                return
            ended.sort(key=lambda run: (run.ended_at or "", run.run_id))
            for run in ended[: len(ended) - MOST_ENDED]:
                del self._runs[run.run_id]


def summary_of(folder: RunFolder) -> RunSummary:
    """Return a run as its journal tells it."""
    return _folded(folder, read_milestones(folder.journal))


def _folded(folder: RunFolder, entries: list[dict[str, Any]]) -> RunSummary:
    summary = RunSummary(folder.run_id)
    for entry in entries:
        with suppress(*DAMAGE):  # such an entry changes nothing
            summary = summary.after(entry)
    return summary
