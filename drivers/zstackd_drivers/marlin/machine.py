"""Marlin's motion as the firmware twin runs it: planner, homing, quick stop, kill.

Positions here are machine positions in millimetres, as Marlin believes them; the motor knows
better. Times are rig nanoseconds. Not thread-safe.
"""

from collections.abc import Callable

from zstackd_drivers.firmware.agenda import Agenda
from zstackd_drivers.firmware.setup import Witness
from zstackd_drivers.marlin.setup import MarlinSetup
from zstackd_drivers.stepping.kinematics import trapezoid

_PLANNER_BLOCKS = 16
_SLIPPED_STEPS = 7
IDLE_LIMIT_S = 120.0
"""After so long at rest the motor is switched off, until M84 S says otherwise."""

_BUMP = 0.1
_KILLED = "Error:Printer halted. kill() called!"


class MarlinMachine:
    """Everything of the controller but its reading, queueing and parsing of lines."""

    def __init__(self, setup: MarlinSetup) -> None:
        self.setup = setup
        self.agenda = Agenda()
        self.motor = setup.motor(setup.steps_per_unit)
        self.witness = Witness(setup.travel)
        self.halted = False
        self.soft_end_stops = setup.soft_end_stops
        self.idle_limit_s = IDLE_LIMIT_S
        self._homed = False
        self._homing = False
        self._stalled = False
        self._target = 0.0
        self._shift = 0.0
        self._offset = -setup.start
        self._out: list[bytes] = []

    @property
    def now_ns(self) -> int:
        """The present rig time."""
        return self.agenda.now_ns

    def say(self, *lines: str) -> None:
        """Send lines."""
        self._out += [line.encode("ascii") + b"\n" for line in lines]

    def take_output(self) -> list[bytes]:
        """Return, and forget, the lines to send."""
        out, self._out = self._out, []
        return out

    def logical(self) -> float:
        """Return where the last motion command goes, as G-code has it."""
        return self._target + self._shift

    @property
    def count(self) -> int:
        """The steps of the planner's position, from machine zero."""
        return round((self.motor.destination() + self._offset) * self.setup.steps_per_unit)

    def moving(self) -> bool:
        """Return whether commanded motion is still to end."""
        return self._stalled or self.motor.moving(self.now_ns)

    def full(self) -> bool:
        """Return whether the planner takes no more motion."""
        return self.motor.waiting(self.now_ns) >= _PLANNER_BLOCKS

    def homing(self) -> bool:
        """Return whether G28 is at work."""
        return self._homing

    # Motion.

    def move(self, target: float, speed: float) -> None:
        """Queue a motion to a height as G-code has it; soft end stops silently shorten it."""
        target -= self._shift
        if self.soft_end_stops and self._homed:
            low, high = self.setup.travel
            target = min(max(target, low), high)
        self._slip_if_limp()
        self.witness.motion(target - self._offset)
        self._target = target
        self._drive(target - self._offset, min(speed, self.setup.max_speed))

    def set_position(self, z: float) -> None:
        """G92: call the present position `z`; the steps are counted on."""
        self._shift = z - self._target

    def home(self) -> None:
        """G28 Z: find the switch, leave it a little, find it again."""
        low, high = self.setup.travel
        switch, inward = (high, -1) if self.setup.home == "high" else (low, 1)
        speed = self.setup.homing_speed
        bump = switch + inward * min(_BUMP, 0.1 * (high - low))
        for target, rate in ((switch, speed), (bump, speed), (switch, speed / 2)):
            self._drive(target, rate)
        self._homing = True
        left_s = (self.motor.end_ns - self.now_ns) / 1e9
        self.agenda.later(left_s, self.kill if self.setup.home_fails else self._at_home)

    def quick_stop(self) -> None:
        """M410: stand still at once; from more than the jerk this costs steps."""
        if self._homing:
            self.kill()
            return
        jerk = self.setup.jerk or 0.0
        self._stop_dead(slips=self.motor.speed(self.now_ns) > jerk)
        self._target = self.motor.destination() + self._offset

    def kill(self) -> None:
        """Stop for good: nothing but a reset helps."""
        self._stop_dead(slips=True)
        self.witness.trusted = False
        self.agenda.clear()
        self.halted = True
        self._homing = False
        self.say(_KILLED)

    def stall(self) -> None:
        """Hang in mid-motion: nothing moves, and the planner waits for ever."""
        self._stalled = self.motor.moving(self.now_ns)
        self.motor.halt(self.now_ns)

    def reset(self, boot_s: float, booted: Callable[[], None]) -> None:
        """Power-up: stop dead, count from zero, boot."""
        self._stop_dead(slips=False)
        self.agenda.clear()
        self._offset = -self.motor.destination()
        self._target = self._shift = 0.0
        self._homed = self._homing = self.halted = False
        self.soft_end_stops = self.setup.soft_end_stops
        self.idle_limit_s = IDLE_LIMIT_S
        self.witness.trusted = False
        self.agenda.later(boot_s, booted)

    def _at_home(self) -> None:
        low, high = self.setup.travel
        self._offset = 0.0
        self._target = high if self.setup.home == "high" else low
        self._homing, self._shift = False, 0.0
        self._homed = self.witness.trusted = True

    def _slip_if_limp(self) -> None:
        """Lose steps where the motor has stood without current, as it does after a while."""
        rested_s = (self.now_ns - self.motor.end_ns) / 1e9
        if 0 < self.idle_limit_s < rested_s and self.witness.trusted:
            self._offset += _SLIPPED_STEPS / self.setup.steps_per_unit
            self.witness.trusted = False

    def _stop_dead(self, *, slips: bool) -> None:
        if self.motor.moving(self.now_ns):
            self.motor.halt(self.now_ns)
            if slips:
                self._offset += _SLIPPED_STEPS / self.setup.steps_per_unit
                self.witness.trusted = False
        self._stalled = False

    def _drive(self, physical: float, speed: float) -> None:
        self.motor.go(
            physical,
            profile=lambda distance: trapezoid(
                distance=distance, speed=speed, acceleration=self.setup.acceleration
            ),
            at_ns=self.now_ns,
        )
