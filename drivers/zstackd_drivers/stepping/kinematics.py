"""How long a motor takes: profiles of constant acceleration, cruise and braking.

Distances, speeds and accelerations may be in any one unit of length; times are seconds.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of constant acceleration that begins at `speed`."""

    duration_s: float
    speed: float
    acceleration: float

    def distance(self, elapsed_s: float) -> float:
        """Return the way covered after `elapsed_s`, held at the phase's two ends."""
        t = min(max(elapsed_s, 0.0), self.duration_s)
        return self.speed * t + 0.5 * self.acceleration * t * t


@dataclass(frozen=True, slots=True)
class Profile:
    """Phases in sequence, from the first to standstill."""

    phases: tuple[Phase, ...]

    @property
    def duration_s(self) -> float:
        """Seconds until standstill."""
        return sum(phase.duration_s for phase in self.phases)

    def distance(self, elapsed_s: float) -> float:
        """Return the way covered after `elapsed_s`; the whole way once the profile is over."""
        way = 0.0
        for phase in self.phases:
            way += phase.distance(elapsed_s)
            elapsed_s -= phase.duration_s
        return way

    def speed(self, elapsed_s: float) -> float:
        """Return the speed at `elapsed_s`; zero before the start and after the end."""
        if elapsed_s < 0:
            return 0.0
        for phase in self.phases:
            if elapsed_s < phase.duration_s:
                return phase.speed + phase.acceleration * elapsed_s
            elapsed_s -= phase.duration_s
        return 0.0


def trapezoid(*, distance: float, speed: float, acceleration: float) -> Profile:
    """Return the profile from rest to rest; a triangle where `speed` is not reached."""
    if distance <= 0:
        return Profile(())
    top = min(speed, math.sqrt(distance * acceleration))
    ramp_s = top / acceleration
    cruise_s = max(0.0, distance / top - ramp_s)
    return Profile(
        (
            Phase(ramp_s, 0.0, acceleration),
            Phase(cruise_s, top, 0.0),
            Phase(ramp_s, top, -acceleration),
        )
    )


def trapezoid_at(acceleration: float) -> Callable[[float, float], Profile]:
    """Return the function of distance and speed that is `trapezoid` at one acceleration."""
    return lambda distance, speed: trapezoid(
        distance=distance, speed=speed, acceleration=acceleration
    )


def braking(*, speed: float, acceleration: float) -> Profile:
    """Return the profile from `speed` to standstill."""
    return Profile((Phase(speed / acceleration, speed, -acceleration),))
