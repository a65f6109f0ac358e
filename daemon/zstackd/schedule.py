"""When the runs of a series are due: the times of a time plan, or repetitions at once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, pairwise
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
    """Return when the runs of a series are due; raises InputError where that cannot be."""
    if run.time_plan is None:
        return Schedule(begins, (0.0,) * run.repeat, timed=False)
    if run.repeat > 1:
        raise InputError(
            f"{source}: repeat {run.repeat} and time_plan both say how often the run is done; "
            "give one of them"
        )
    try:
        offsets = tuple(
            delta.total_seconds() for delta in islice(run.time_plan.deltas(), MAX_POINTS + 1)
        )
    except (ArithmeticError, ValueError) as error:
        raise InputError(
            f"{source}: time_plan: has no times ({error}); give an interval above 0 s"
        ) from error
    if not offsets:
        raise InputError(f"{source}: time_plan: has no times; give at least 1 loop")
    if len(offsets) > MAX_POINTS:
        raise InputError(f"{source}: time_plan: more than {MAX_POINTS} times; give fewer loops")
    if any(later < earlier for earlier, later in pairwise(offsets)):
        raise InputError(f"{source}: time_plan: goes back in time; give intervals of 0 s or more")
    return Schedule(begins, offsets, timed=True)
