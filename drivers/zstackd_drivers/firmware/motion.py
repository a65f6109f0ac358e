"""How a simulated motor really moves: motion in rig time, whole steps, and lost motion."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from zstackd_drivers.stepping.kinematics import Profile, braking

_NS = 1_000_000_000
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Mechanics:
    """The screw: controller units to micrometres, and the play between motor and specimen.

    `engaged` names the direction of motion in which the specimen stands exactly where the
    motor does; after a reversal it lags by up to `backlash_um`.
    """

    um_per_unit: float
    origin_um: float
    backlash_um: float
    engaged: str = "up"

    def motor_um(self, units: float) -> float:
        """Return the motor's position in micrometres."""
        return self.origin_um + self.um_per_unit * units

    def follow(self, specimen_um: float, motor_um: float) -> float:
        """Return where the specimen comes to stand when the motor moves straight to `motor_um`."""
        low, high = motor_um, motor_um + self.backlash_um
        if self.engaged == "down":
            low, high = motor_um - self.backlash_um, motor_um
        return min(max(specimen_um, low), high)


@dataclass(frozen=True, slots=True)
class Segment:
    """One motion in one direction, possibly cut short at `cut_ns`."""

    start_ns: int
    origin: float
    sign: int
    profile: Profile
    specimen_um: float
    cut_ns: int | None = None

    @property
    def end_ns(self) -> int:
        """Rig time of standstill."""
        end = self.start_ns + round(self.profile.duration_s * _NS)
        return end if self.cut_ns is None else min(end, self.cut_ns)

    def position(self, at_ns: int) -> float:
        """Return the motor's position in controller units."""
        return self.origin + self.sign * self.profile.distance(self._elapsed_s(at_ns))

    def speed(self, at_ns: int) -> float:
        """Return the speed in units per second; zero from the end on."""
        return 0.0 if at_ns >= self.end_ns else self.profile.speed(self._elapsed_s(at_ns))

    def _elapsed_s(self, at_ns: int) -> float:
        return (min(at_ns, self.end_ns) - self.start_ns) / _NS


class Motor:
    """A stepper and what hangs on it; positions in controller units, not thread-safe."""

    def __init__(self, *, mechanics: Mechanics, steps_per_unit: float, start: float) -> None:
        self._mechanics = mechanics
        self.steps_per_unit = steps_per_unit
        rest = Segment(0, start, 1, Profile(()), mechanics.motor_um(start))
        self._segments: deque[Segment] = deque([rest], maxlen=_REMEMBERED)
        self.moved = False

    @property
    def end_ns(self) -> int:
        """Rig time at which all commanded motion ends, or ended."""
        return self._segments[-1].end_ns

    def destination(self) -> float:
        """Return where all commanded motion ends."""
        return self._whole(self._segments[-1].position(self.end_ns))

    def position(self, at_ns: int) -> float:
        """Return the motor's position, in whole steps."""
        return self._whole(self._at(at_ns).position(at_ns))

    def speed(self, at_ns: int) -> float:
        """Return the speed in units per second."""
        return self._at(at_ns).speed(at_ns)

    def moving(self, at_ns: int) -> bool:
        """Return whether commanded motion is still to end."""
        return at_ns < self.end_ns

    def waiting(self, at_ns: int) -> int:
        """Return how many commanded motions have not begun."""
        return sum(segment.start_ns > at_ns for segment in self._segments)

    def next_start_ns(self, at_ns: int) -> int | None:
        """Return the rig time at which the next queued motion begins."""
        starts = (segment.start_ns for segment in self._segments)
        return min((start for start in starts if start > at_ns), default=None)

    def specimen_um(self, at_ns: int) -> float:
        """Return the specimen's true height in micrometres."""
        return self._specimen(self._at(at_ns), at_ns)

    def height_um(self, at_ns: int) -> float:
        """Return the motor's own height in micrometres, before lost motion."""
        return self._mechanics.motor_um(self.position(at_ns))

    def go(self, target: float, *, profile: Callable[[float], Profile], at_ns: int) -> bool:
        """Queue a motion to `target`, `profile` of its distance; return whether it is a step."""
        origin, target = self.destination(), self._whole(target)
        if target == origin:
            return False
        way = profile(abs(target - origin))
        self._append(max(at_ns, self.end_ns), origin, target > origin, way)
        return True

    def brake(self, acceleration: float, at_ns: int) -> None:
        """Come to rest without losing steps; what was queued is forgotten."""
        current = self._at(at_ns)
        speed = current.speed(at_ns)
        self.halt(at_ns)
        if speed > 0:
            profile = braking(speed=speed, acceleration=acceleration)
            self._append(at_ns, current.position(at_ns), current.sign > 0, profile)

    def halt(self, at_ns: int) -> None:
        """Stand still at once; what was queued is forgotten."""
        while self._segments[-1].start_ns > at_ns:
            self._segments.pop()
        if self._segments[-1].end_ns > at_ns:
            self._segments[-1] = replace(self._segments[-1], cut_ns=at_ns)

    def _append(self, start_ns: int, origin: float, up: bool, profile: Profile) -> None:
        last = self._segments[-1]
        specimen = self._specimen(last, last.end_ns)
        self._segments.append(Segment(start_ns, origin, 1 if up else -1, profile, specimen))
        self.moved = True

    def _specimen(self, segment: Segment, at_ns: int) -> float:
        motor = self._mechanics.motor_um(self._whole(segment.position(at_ns)))
        return self._mechanics.follow(segment.specimen_um, motor)

    def _at(self, at_ns: int) -> Segment:
        for segment in reversed(self._segments):
            if segment.start_ns <= at_ns:
                return segment
        return self._segments[0]

    def _whole(self, units: float) -> float:
        return round(units * self.steps_per_unit) / self.steps_per_unit
