"""What stands in a run's journal, in one glance: its state and the few facts people ask for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final


class RunState(StrEnum):
    """Where a run stands; see `ENDED` for those that never change again."""

    QUEUED = "queued"
    PAUSED = "paused"
    WAITING = "waiting"
    CAPTURING = "capturing"
    STACKING = "stacking"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


ENDED: Final = frozenset(
    {
        RunState.PUBLISHED,
        RunState.FAILED,
        RunState.INTERRUPTED,
        RunState.CANCELLED,
        RunState.SKIPPED,
    }
)
MOST_ENDED: Final = 1000
"""Ended runs kept in memory, as many as clients may list; older ones are found by their id."""
ACTIVE: Final = frozenset({RunState.CAPTURING, RunState.STACKING, RunState.PUBLISHING})


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run as its journal tells it; times are ISO 8601 in UTC.

    `reason` says why it waits, is paused, or ended without a whole result. `result` is the
    published folder, `place` the output folder it was published in (see `Publisher.place`);
    `consumed` tells that a consumer took or acknowledged it, `hook_due` that a hook is to be run
    for it. `series` is the id
    of the time-lapse or repetition that the run is point number `point` (from 0) of.
    """

    run_id: str
    name: str = ""
    state: RunState = RunState.QUEUED
    accepted_at: str = ""
    started_at: str | None = None
    ended_at: str | None = None
    changed_at: str = ""
    attempts: int = 0
    priority: int = 0
    not_before: str | None = None
    series: str | None = None
    point: int | None = None
    planes_done: int = 0
    planes_total: int | None = None
    reason: str | None = None
    result: Path | None = None
    is_partial: bool = False
    place: str | None = None
    frames_kept: bool = True
    consumed: bool = False
    hook_due: bool = False

    @property
    def ended(self) -> bool:
        """Whether the run never changes again."""
        return self.state in ENDED

    def after(self, entry: Mapping[str, Any]) -> "RunSummary":
        """Return the summary after one more entry of the journal; unknown events change nothing."""
        change = _CHANGES.get(str(entry.get("event")))
        if change is None:
            return self
        at = str(entry.get("at", ""))
        changes = {"changed_at": at, **change(self, entry)}
        state = changes.get("state")
        if state in ENDED and not self.ended:
            changes["ended_at"] = at
        return replace(self, **changes)


Changes = dict[str, Any]


def _accepted(_: RunSummary, entry: Mapping[str, Any]) -> Changes:
    return {
        "name": str(entry.get("name", "")),
        "accepted_at": str(entry.get("at", "")),
        "priority": int(entry.get("priority", 0)),
        "not_before": entry.get("not_before"),
        "series": entry.get("series"),
        "point": entry.get("point"),
    }


def _started(run: RunSummary, entry: Mapping[str, Any]) -> Changes:
    return {
        "state": RunState.STACKING if entry.get("from_frames") else RunState.CAPTURING,
        "started_at": run.started_at or str(entry.get("at", "")),
        "attempts": run.attempts + 1,
        "reason": None,
    }


def _planned(_: RunSummary, entry: Mapping[str, Any]) -> Changes:
    return {"planes_total": len(entry.get("planes_um", ())), "planes_done": 0}


def _frame(run: RunSummary, _: Mapping[str, Any]) -> Changes:
    return {"planes_done": run.planes_done + 1}


def _captured(run: RunSummary, entry: Mapping[str, Any]) -> Changes:
    planes = int(entry.get("planes", run.planes_done))
    return {"state": RunState.STACKING, "planes_done": planes}


def _to(state: RunState) -> Callable[[RunSummary, Mapping[str, Any]], Changes]:
    def change(_: RunSummary, entry: Mapping[str, Any]) -> Changes:
        return {"state": state, "reason": entry.get("reason")}

    return change


def _publishing(_: RunSummary, entry: Mapping[str, Any]) -> Changes:
    return {"state": RunState.PUBLISHING, "reason": None, "place": entry.get("place")}


def _resumed(run: RunSummary, _: Mapping[str, Any]) -> Changes:
    begun = run.attempts and run.state is RunState.PAUSED
    return {"state": RunState.CAPTURING if begun else RunState.QUEUED, "reason": None}


def _ended(state: RunState) -> Callable[[RunSummary, Mapping[str, Any]], Changes]:
    def change(run: RunSummary, entry: Mapping[str, Any]) -> Changes:
        result = entry.get("result")
        return {
            "state": state,
            "reason": entry.get("reason"),
            "result": Path(result) if result else None,
            "is_partial": bool(entry.get("partial", False)),
            "planes_done": int(entry.get("frames", run.planes_done)),
            "hook_due": bool(entry.get("hook", False)),
        }

    return change


_CHANGES: Final[Mapping[str, Callable[[RunSummary, Mapping[str, Any]], Changes]]] = {
    "accepted": _accepted,
    "started": _started,
    "planned": _planned,
    "frame": _frame,
    "captured": _captured,
    "stacked": _to(RunState.PUBLISHING),
    "publishing": _publishing,
    "waiting": _to(RunState.WAITING),
    "paused": _to(RunState.PAUSED),
    "resumed": _resumed,
    "published": _ended(RunState.PUBLISHED),
    "failed": _ended(RunState.FAILED),
    "interrupted": _ended(RunState.INTERRUPTED),
    "cancelled": _ended(RunState.CANCELLED),
    "skipped": _ended(RunState.SKIPPED),
    "frames_dropped": lambda _run, _entry: {"frames_kept": False},
    "consumed": lambda _run, _entry: {"consumed": True},
    "result_deleted": lambda _run, _entry: {"result": None},
    "hook": lambda _run, _entry: {"hook_due": False},
}
