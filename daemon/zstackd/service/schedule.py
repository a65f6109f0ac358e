"""When the runs of a series are due: the times of a time plan, or repetitions at once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from zstackd_config.errors import InputError
from zstackd_config.run import Run

MAX_POINTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Schedule:
    """Due times as seconds after `begins`; fixed once, so that lateness never adds up."""

    begins: datetime
    offsets_s: tuple[float, ...]
    timed: bool

    @property
    def count(self) -> int:
        """How many points there are."""
        return len(self.offsets_s)

    def due(self, point: int) -> datetime:
        """When this point (from 0) should begin."""
        return self.begins + timedelta(seconds=self.offsets_s[point])

    def late_s(self, point: int, now: datetime) -> float:
        """By how many seconds its time has passed; 0 for repetitions, which have no time."""
        return max(0.0, (now - self.due(point)).total_seconds()) if self.timed else 0.0


def is_series(run: Run) -> bool:
    """Return whether a run file asks for more than one run."""
    return run.time_plan is not None or run.repeat > 1


def schedule_of(run: Run, begins: datetime, *, source: str) -> Schedule:
    """Return when the runs of a series are due.

    Raises InputError where a plan has too many times; all else that a plan could have wrong is
    refused with the run file.
    """
    if run.time_plan is None:
        return Schedule(begins, (0.0,) * run.repeat, timed=False)
    deltas = islice(run.time_plan.deltas(), MAX_POINTS + 1)
    offsets = tuple(delta.total_seconds() for delta in deltas)
    if len(offsets) > MAX_POINTS:
        raise InputError(f"{source}: time_plan: more than {MAX_POINTS} times; give fewer loops")
    return Schedule(begins, offsets, timed=True)
