"""A Sangaboard's motion as the firmware twin runs it: relative moves, homing, memory.

Positions here are the board's own step counts; the motor knows better. Not thread-safe.
"""

from collections.abc import Callable
from dataclasses import dataclass

from zstackd_drivers.firmware.agenda import Agenda
from zstackd_drivers.firmware.setup import Witness
from zstackd_drivers.sangaboard.setup import SangaboardSetup
from zstackd_drivers.stepping.kinematics import Phase, Profile

_US = 1e6
_SEEK_STEPS = 100_000
_SLOW_DELAY_US = 4_000


def ramped(steps: int, *, delay_us: int, ramp_us: int) -> Profile:
    """Return a move's profile: full speed as `delay_us` says, with ramps of a fixed time.

    It takes `steps × delay_us + ramp_us`, as the firmware counts it.
    """
    full_s, ramp_s = steps * delay_us / _US, ramp_us / _US
    if steps == 0:
        return Profile(())
    if full_s < ramp_s:
        half_s = (full_s + ramp_s) / 2
        rate = steps / half_s**2
        return Profile((Phase(half_s, 0.0, rate), Phase(half_s, rate * half_s, -rate)))
    speed = _US / delay_us
    cruise = Phase(full_s - ramp_s, speed, 0.0)
    if ramp_s == 0:
        return Profile((cruise,))
    rate = speed / ramp_s
    return Profile((Phase(ramp_s, 0.0, rate), cruise, Phase(ramp_s, speed, -rate)))


@dataclass(frozen=True, slots=True)
class _Stage:
    """One motion of homing: steps away from where it stands, and whether the switch ends it."""

    steps: int
    delay_us: int
    to_switch: bool


class SangaboardMachine:
    """Everything of the board but its reading and parsing of lines."""

    def __init__(self, setup: SangaboardSetup) -> None:
        self.setup = setup
        self.agenda = Agenda()
        self.motor = setup.motor(1.0)
        self.witness = Witness(setup.travel)
        self.delay_us = setup.step_delay_us
        self.ramp_us = setup.ramp_time_us
        self.saved = setup.saved
        self._offset = setup.saved - round(setup.start)
        self._stalled = False
        self._moves = 0
        self._stages: list[_Stage] = []
        self._hits_left = 0

    @property
    def now_ns(self) -> int:
        """The present rig time."""
        return self.agenda.now_ns

    def position(self) -> int:
        """Return the steps as the board counts them."""
        return round(self.motor.position(self.now_ns)) + self._offset

    def moving(self) -> bool:
        """Return whether the motor moves, as the board believes."""
        return self._stalled or self.motor.moving(self.now_ns) or bool(self._stages)

    def move(self, steps: int, done: Callable[[], None]) -> None:
        """Move by `steps`; `done` is called at the end, unless something comes between."""
        self.witness.motion(self.motor.destination() + steps)
        self._start(steps, self.delay_us, done)

    def zero(self) -> None:
        """Call the present position 0."""
        self._offset -= self.position()
        self.saved = 0

    def stop(self) -> None:
        """Stop dead; homing goes on with its next stage."""
        self._moves += 1
        self._stalled = False
        self.motor.halt(self.now_ns)
        self.saved = self.position()
        if self._stages:
            self._end_stage(hit=False)

    def home(self, end: str, *, hit: Callable[[], None], done: Callable[[], None]) -> None:
        """Find the switch, retreat, find it slowly, retreat; `hit` is called at each finding."""
        sign = -1 if end == "min" else 1
        fast, slow, retreat = self.delay_us, _SLOW_DELAY_US, self.setup.retreat_steps
        self._hit, self._done, self._hits_left = hit, done, self.setup.home_hits
        self._stages = [
            _Stage(sign * _SEEK_STEPS, fast, to_switch=True),
            _Stage(-sign * retreat, fast, to_switch=False),
            _Stage(2 * sign * retreat, slow, to_switch=True),
            _Stage(-sign * retreat, fast, to_switch=False),
        ]
        self._start_stage()

    def end_stop(self) -> bool:
        """Meet a switch by surprise: the motion ends, and the count is set; return whether."""
        if not self.motor.moving(self.now_ns):
            return False
        self._moves += 1
        self._stages.clear()
        self.motor.halt(self.now_ns)
        self._offset -= self.position()
        self.saved = 0
        self.witness.trusted = False
        return True

    def stall(self) -> None:
        """Hang in mid-motion: nothing moves, and the move never ends."""
        self._stalled = self.motor.moving(self.now_ns)
        if self._stalled:
            self._moves += 1
            self.motor.halt(self.now_ns)

    def reset(self, boot_s: float, booted: Callable[[], None]) -> None:
        """Power-up: stop dead, and count from what was saved."""
        self._moves += 1
        self.motor.halt(self.now_ns)
        self.agenda.clear()
        self._stages.clear()
        self._stalled = False
        self._offset = self.saved - round(self.motor.destination())
        self.witness.trusted = False
        self.agenda.later(boot_s, booted)

    def _start(self, steps: int, delay_us: int, done: Callable[[], None]) -> None:
        self._moves += 1
        move = self._moves
        self.motor.halt(self.now_ns)
        self.motor.go(
            self.motor.destination() + steps,
            profile=lambda way: ramped(round(way), delay_us=delay_us, ramp_us=self.ramp_us),
            at_ns=self.now_ns,
        )

        def arrived() -> None:
            if self._moves == move:
                self.saved = self.position()
                done()

        self.agenda.later((self.motor.end_ns - self.now_ns) / _US / 1e3, arrived)

    def _start_stage(self) -> None:
        stage = self._stages[0]
        low, high = self.setup.travel
        switch = round((low if stage.steps < 0 else high) - self.motor.position(self.now_ns))
        closes = self._hits_left > 0 and not self.setup.home_fails
        hits = stage.to_switch and closes and abs(switch) <= abs(stage.steps)
        steps = switch if hits else stage.steps
        self._start(steps, stage.delay_us, lambda: self._end_stage(hit=hits))

    def _end_stage(self, *, hit: bool) -> None:
        if hit:
            self._hits_left -= 1
            self._offset -= self.position()
            self.witness.trusted = True
            self._hit()
        self._stages.pop(0)
        if self._stages:
            self._start_stage()
        else:
            self._done()
