"""What a motion controller must offer, so that a focus axis can be built upon it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from zstackd_drivers.stepping.kinematics import Profile

Stopped = Callable[[], bool]
"""Whether an operator has asked for a stop; waits end when it becomes true."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a controller says of itself; lengths in its own units.

    `tolerance` is how far a report may lie from the truth, `resolution` the least that reports
    tell (0 where they count steps), `braking_s` the time from full speed to rest,
    `homing_limit_s` how long homing may take, `cannot_home` why it is not possible, and
    `complaints` what an operator should mend though the axis works.
    """

    steps_per_unit: float
    max_speed: float
    tolerance: float
    profile: Callable[[float, float], Profile]
    braking_s: float
    homing_limit_s: float
    cannot_home: str | None = None
    complaints: tuple[str, ...] = ()
    resolution: float = 0.0

    def step_at(self, position: float, sent_to: int) -> int:
        """Return the step on which it stands that was sent to one and reports `position`."""
        if self.resolution * self.steps_per_unit > 1:
            return sent_to
        return round(position * self.steps_per_unit)

    def duration_s(self, distance: float, speed: float) -> float:
        """Return the seconds of one motion, from rest to rest."""
        return self.profile(distance, speed).duration_s


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the controller says it is, and in what state."""

    position: float
    state: str
    at_rest: bool


class Controller(Protocol):
    """One firmware behind one serial port, in its own units.

    Every method ends and raises a `HardwareError` of `zstackd_drivers.errors`. All but `stop` are
    called by one thread at a time.
    """

    @property
    def condition(self) -> threading.Condition:
        """Guards and announces all state."""
        ...

    @property
    def port(self) -> str:
        """The device path in use, or used last."""
        ...

    @property
    def alive(self) -> bool:
        """Whether the line is open and holds."""
        ...

    @property
    def version(self) -> str:
        """The firmware's words on itself."""
        ...

    def connect(self) -> Machine:
        """Open the port, prove the firmware's identity, stop whatever moves, read the settings."""
        ...

    def close(self) -> None:
        """Release the port; a second call does nothing."""
        ...

    def recover(self) -> Machine | None:
        """Make the controller answer again after any disturbance; nothing moves afterwards.

        Returns its settings where it had to be connected to anew, None where it answers as it is.
        """
        ...

    def check(self) -> None:
        """Raise what has happened since `connect` or `recover`."""
        ...

    def reported(self) -> float | None:
        """Return the position reported last; None where none was since the port was opened."""
        ...

    def poll(self) -> Standing:
        """Ask where it stands."""
        ...

    def go(
        self, way: Sequence[float], *, speed: float, wall_s: float, stopped: Stopped
    ) -> float:  # fmt: skip
        """Visit the positions of `way`, which takes `wall_s`; return the one reported at rest.

        Raises Interrupted where `stopped()` becomes true; the caller brakes. Raises MotionError
        where the motor comes to rest elsewhere or not at all.
        """
        ...

    def brake(self, wall_s: float) -> float:
        """Come to rest, which may take `wall_s`; return the position, which is still known.

        Raises MotionError where it may not be.
        """
        ...

    def home(self, limit_s: float, stopped: Stopped) -> None:
        """Run the homing cycle; `limit_s` is in seconds of the wall clock."""
        ...

    def unlock(self) -> None:
        """Make motion possible where an operator knows the position."""
        ...

    def stop(self, *, homing: bool) -> None:
        """Stop the motor now and wait for nothing; safe from any thread."""
        ...

    def abort(self) -> None:
        """Stop the motor by whatever means, the position being lost anyway."""
        ...
