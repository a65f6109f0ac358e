"""Where the time of a run goes, in seconds of the rig's clock."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, get_args

from zstackd_drivers.clock import Clock

Share = Literal[
    "exposure_lock", "motion", "settle", "exposure", "frame_wait", "writer_wait", "stacking"
]
_NS_PER_S = 1e9
_ELAPSED = "elapsed"


class Timings:
    """Seconds spent on each share of a run; each share belongs to one thread.

    `before` is what earlier attempts at the run had spent, as `so_far` told it.
    """

    def __init__(self, clock: Clock, before: Mapping[str, float] | None = None) -> None:
        before = before or {}
        self._clock = clock
        self._before_s = before.get(_ELAPSED, 0.0)
        self._started_ns = clock.monotonic_ns()
        self._spent: dict[Share, float] = {
            share: before.get(share, 0.0) for share in get_args(Share)
        }
        self.captured_s: float | None = None

    @property
    def time_scale(self) -> float:
        """Return how many of these seconds pass in one second of the wall clock."""
        return self._clock.scale

    def elapsed_s(self) -> float:
        """Return the seconds that the run has been worked at."""
        return self._before_s + (self._clock.monotonic_ns() - self._started_ns) / _NS_PER_S

    def so_far(self) -> dict[str, float]:
        """Return all seconds counted, for the attempt that may have to go on with the run."""
        spent: dict[str, float] = {share: round(each_s, 6) for share, each_s in self._spent.items()}
        return {_ELAPSED: round(self.elapsed_s(), 6), **spent}

    def add(self, share: Share, seconds: float) -> None:
        """Count `seconds` towards `share`."""
        self._spent[share] += seconds

    def spent_s(self, share: Share) -> float:
        """Return the seconds counted towards `share`."""
        return self._spent[share]

    @contextmanager
    def measured(self, share: Share) -> Iterator[None]:
        """Count the time spent inside towards `share`."""
        before_s = self.elapsed_s()
        try:
            yield
        finally:
            self.add(share, self.elapsed_s() - before_s)

    def mark_captured(self) -> None:
        """Note that the last frame is in hand."""
        self.captured_s = self.elapsed_s()

    def necessary_s(self) -> float:
        """Return what no program could save: motion, settling and exposure."""
        return sum(self.spent_s(share) for share in ("motion", "settle", "exposure"))
