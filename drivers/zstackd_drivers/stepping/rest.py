"""Watching a motion until the motor stands where it was sent, or until that cannot be any more."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zstackd_config.errors import Interrupted
from zstackd_drivers.errors import MotionError
from zstackd_drivers.stepping.controller import Standing, Stopped

_PROGRESS_S = 0.2
_FIRST_POLL_S = 0.004
_POLL_GROWTH = 1.5
_SLOWEST_POLL_S = 0.1
_PATIENCE = 6
_ASTRAY = 2
"""So many reports in a row from beyond its way: one alone may be a report spoilt on the line."""

_SLACK = 0.2


@dataclass(frozen=True, slots=True)
class RestWatch:
    """Patience with one motion, and an end to it. Positions are in controller units."""

    name: str
    pause: Callable[[float, Callable[[], bool]], None]
    stopped: Stopped
    margin_s: float
    um_per_unit: float

    def check(self) -> None:
        """Raise Interrupted where a stop was asked for."""
        if self.stopped():
            raise Interrupted(f"{self.name} was stopped")

    def expect(self, standing: Standing, target: float, *, tolerance: float) -> None:
        """Raise MotionError where the motor does not stand at `target`."""
        if not standing.at_rest or abs(standing.position - target) > tolerance:
            self._expect_motion(standing, target, misses=_PATIENCE, moving_state="")

    def arrive(
        self,
        target: float,
        *,
        poll: Callable[[], Standing],
        moving_state: str,
        end: float,
        wall_s: float,
        tolerance: float,
        way: Sequence[float],
    ) -> float:
        """Return the position reported at rest, within `tolerance` of `target`.

        Polls now and then during the motion, and often once it should be over: `end` is when the
        motion of `wall_s` should be, by `time.monotonic`. Waiting makes sense in `moving_state`
        only. `way` are the positions it starts from and passes: whoever is beyond them follows an
        order that was spoilt on the line, maybe into the specimen. Raises Interrupted, or
        MotionError where the motor leaves its way, stands elsewhere or is late.
        """
        limit = end + _SLACK * wall_s + self.margin_s
        lowest, highest = min(way) - tolerance, max(way) + tolerance
        misses, astray, interval = 0, 0, _FIRST_POLL_S
        while True:
            left = end - time.monotonic()
            under_way = left > 0 and not astray
            self.pause(min(left, _PROGRESS_S) if under_way else interval, self.stopped)
            self.check()
            standing = poll()
            astray = 0 if lowest <= standing.position <= highest else astray + 1
            if astray == _ASTRAY:
                raise MotionError(
                    f"{self.name} goes elsewhere, {self._short(standing, target)} from where it "
                    "was sent, and is stopped: an order was spoilt on the line; check the cable, "
                    "then home it"
                )
            if standing.at_rest and abs(standing.position - target) <= tolerance:
                return standing.position
            misses += standing.at_rest
            self._expect_motion(standing, target, misses=misses, moving_state=moving_state)
            if time.monotonic() > limit:
                raise MotionError(
                    f"{self.name} is stuck {self._short(standing, target)} from where it was sent "
                    f"({wall_s:.3g} s of motion, {self.margin_s:g} s to spare): check motor and "
                    "supply, then home it"
                )
            if left <= 0:
                interval = min(_POLL_GROWTH * interval, _SLOWEST_POLL_S)

    def _expect_motion(
        self, standing: Standing, target: float, *, misses: int, moving_state: str
    ) -> None:
        # Rest elsewhere, once, may be a report spoilt on the line, or older than the next motion.
        if standing.state == moving_state or (standing.at_rest and misses < _PATIENCE):
            return
        short = self._short(standing, target)
        if standing.at_rest:
            raise MotionError(
                f"{self.name} came to rest {short} from where it was sent: check the motor, then "
                "home it"
            )
        raise MotionError(
            f"{self.name} went into state {standing.state}, {short} from where it was sent: look "
            "at the controller, then home it"
        )

    def _short(self, standing: Standing, target: float) -> str:
        return f"{abs((standing.position - target) * self.um_per_unit):g} µm"
