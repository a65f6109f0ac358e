"""GRBL's state machine as the firmware twin runs it: motion, homing, alarms and resets.

Positions here are machine positions in controller units, as GRBL believes them; the motor knows
better. Times are rig nanoseconds. Not thread-safe.
"""

from collections.abc import Callable
from enum import Enum

from zstackd_drivers.firmware.agenda import Agenda
from zstackd_drivers.firmware.setup import Witness
from zstackd_drivers.grbl.report import settings_dump
from zstackd_drivers.grbl.setup import GrblSetup
from zstackd_drivers.grbl.words import MotionWords, Refused
from zstackd_drivers.stepping.kinematics import trapezoid

_NS = 1_000_000_000
_SECONDS_A_MINUTE = 60.0
_PLANNER_BLOCKS = 15
_SLOWEST_RATE = 1.0
_BOOT_S = 1.4
_ALARM_MESSAGE_S = 0.5
_SLIPPED_STEPS = 7


class Mode(Enum):
    """The states, named as in the report where the report names them."""

    BOOT = "Boot"
    IDLE = "Idle"
    JOG = "Jog"
    RUN = "Run"
    HOLD = "Hold"
    HOMING = "Home"
    ALARM = "Alarm"
    CRITICAL = "Critical"


_DEAF = {Mode.BOOT, Mode.HOMING, Mode.CRITICAL, Mode.HOLD}


class GrblMachine:
    """Everything of the controller but its reading and parsing of bytes."""

    def __init__(self, setup: GrblSetup) -> None:
        self.setup = setup
        self.settings = setup.all_settings()
        self.agenda = Agenda()
        self.mode = Mode.IDLE
        self.busy_until_ns = 0
        self.witness = Witness(setup.travel)
        self.resets = 0
        self.motor = setup.motor(self.settings[102])
        self._offset = -setup.start
        self._stalled = False
        self._program: list[tuple[int, float, float]] = []
        self._out: list[bytes] = []
        self._lock_if_homing()

    # What can be asked.

    @property
    def now_ns(self) -> int:
        """The present rig time."""
        return self.agenda.now_ns

    def position(self) -> float:
        """Return the machine position as GRBL believes it."""
        return self.motor.position(self.now_ns) + self._offset

    def state(self) -> str:
        """Return the state as the report names it."""
        if self.mode is Mode.HOLD:
            return f"Hold:{int(self.motor.moving(self.now_ns))}"
        return str(self.mode.value)

    def blocked(self) -> bool:
        """Return whether the main loop takes no line now."""
        full = self.motor.waiting(self.now_ns) >= _PLANNER_BLOCKS
        return self.mode in _DEAF or self.now_ns < self.busy_until_ns or full

    def require(self, *modes: Mode) -> None:
        """Raise Refused (not idle) in any other mode."""
        if self.mode not in modes:
            raise Refused(8)

    # What it says and when.

    def say(self, *lines: str) -> None:
        """Send lines."""
        self._out += [line.encode("ascii") + b"\r\n" for line in lines]

    def take_output(self) -> list[bytes]:
        """Return, and forget, the lines to send."""
        out, self._out = self._out, []
        return out

    def settle(self) -> None:
        """Become idle where motion has ended."""
        resting = not self.motor.moving(self.now_ns) and not self._stalled
        if self.mode in {Mode.JOG, Mode.RUN} and resting:
            self.mode = Mode.IDLE

    def busy_for(self, seconds: float, since_ns: int | None = None) -> None:
        """Take no line for a while."""
        start = self.now_ns if since_ns is None else max(self.now_ns, since_ns)
        self.busy_until_ns = start + round(seconds * _NS)

    # Motion.

    def move(self, words: MotionWords, mode: Mode) -> None:
        """Queue a jog or a program's motion; raises Refused for a jog beyond soft limits."""
        if words.z is None:
            return
        target = words.z
        if not words.absolute:
            target += self.motor.destination() + self._offset
        elif not words.machine:
            target += self.setup.work_offset
        if self._beyond_soft_limits(target):
            if mode is Mode.JOG:
                raise Refused(15)
            self._alarm_for_good(2)
            return
        self.witness.motion(target - self._offset)
        rate = max(_SLOWEST_RATE, min(words.feed or self.settings[112], self.settings[112]))
        if self._queue(target, rate):
            self.mode = mode

    def hold(self) -> None:
        """`!`: brake; a jog is cancelled, a program waits."""
        self.settle()
        if self.mode is Mode.JOG:
            self.cancel_jog()
        elif self.mode in {Mode.RUN, Mode.IDLE}:
            self._program = [entry for entry in self._program if entry[0] > self.now_ns]
            self.motor.brake(self.settings[122], self.now_ns)
            self.mode = Mode.HOLD

    def resume(self) -> None:
        """`~`: go on with what a hold interrupted."""
        if self.mode is not Mode.HOLD:
            return
        program, self._program = self._program, []
        self.mode = Mode.RUN if program else Mode.IDLE
        for _, target, rate in program:
            self._queue(target, rate)

    def cancel_jog(self) -> None:
        """0x85: brake without losing steps; ignored outside a jog."""
        self.settle()
        if self.mode is Mode.JOG and not self._stalled and self.setup.brakes:
            self.motor.brake(self.settings[122], self.now_ns)

    def home(self) -> None:
        """`$H`: find the switch; `ok` follows when done, and nothing is answered meanwhile."""
        self.require(Mode.IDLE, Mode.ALARM)
        if not self.settings[22]:
            raise Refused(5)
        self.mode = Mode.HOMING
        low, high = self.setup.travel
        switch, inward = (high, -1) if self.setup.home == "high" else (low, 1)
        seek, feed, rest = self.settings[25], self.settings[24], switch + inward * self.settings[27]
        for target, rate in ((switch, seek), (rest, seek), (switch, feed), (rest, seek)):
            self._drive(target, rate)
        left_s = (self.motor.end_ns - self.now_ns) / _NS
        self.agenda.later(left_s, self._home_failed if self.setup.home_fails else self._homed)

    def unlock(self) -> None:
        """`$X`: lift an alarm's lock."""
        if self.mode is Mode.ALARM:
            self.mode = Mode.IDLE
            self.say("[MSG:Caution: Unlocked]")
        self.witness.trusted = True

    # Resets, alarms and faults.

    def soft_reset(self) -> None:
        """0x18: stop dead where it moves, which costs the position; then greet."""
        if self.mode is Mode.CRITICAL and self.now_ns < self.busy_until_ns:
            return
        alarm = None
        if self.mode is Mode.HOMING:
            alarm = 6
        elif self.motor.moving(self.now_ns) or self._stalled:
            alarm = 3
        locked = alarm is not None or self.mode in {Mode.ALARM, Mode.CRITICAL}
        self._stop_dead()
        self._begin(Mode.ALARM if locked else Mode.IDLE)
        self.witness.trusted = self.witness.trusted and not locked
        if alarm is None:
            self._greet()
        else:
            self._announce(alarm, self._greet)

    def board_reset(self) -> None:
        """Power-up: stop dead, count from zero, boot."""
        self._stop_dead()
        self._offset = -self.motor.destination()
        self._begin(Mode.BOOT)
        self.witness.trusted = False
        self.agenda.later(_BOOT_S, self._booted)

    def hard_limit(self) -> None:
        """A limit switch: ALARM:1."""
        self._stop_dead()
        self.witness.trusted = False
        self._alarm_for_good(1)

    def stall(self) -> None:
        """Hang in mid-motion: the state stays what it is and nothing moves."""
        self._stalled = self.motor.moving(self.now_ns)
        self.motor.halt(self.now_ns)

    def _alarm_for_good(self, code: int) -> None:
        self.motor.brake(self.settings[122], self.now_ns)
        self._begin(Mode.CRITICAL, reset=False)
        self._announce(code, lambda: self.say("[MSG:Reset to continue]"))

    def _announce(self, alarm: int, then: Callable[[], None]) -> None:
        self.say(f"ALARM:{alarm}")
        self.busy_for(_ALARM_MESSAGE_S)
        self.agenda.later(_ALARM_MESSAGE_S, then)

    def _begin(self, mode: Mode, *, reset: bool = True) -> None:
        self.agenda.clear()
        self._program.clear()
        self.mode = mode
        self.busy_until_ns = self.now_ns
        self.resets += reset

    def _booted(self) -> None:
        self.mode = Mode.IDLE
        self._lock_if_homing()
        if self.setup.blank_eeprom:
            self.say("error:7", *settings_dump(self.settings))
        self._greet()

    def _greet(self) -> None:
        self.say("", "Grbl 1.1h ['$' for help]")
        if self.mode is Mode.ALARM:
            self.say("[MSG:'$H'|'$X' to unlock]")

    def _lock_if_homing(self) -> None:
        if self.settings[22]:
            self.mode = Mode.ALARM

    def _homed(self) -> None:
        self._offset = 0.0
        self.witness.trusted = True
        self.mode = Mode.IDLE
        self.say("ok")

    def _home_failed(self) -> None:
        self._begin(Mode.ALARM)
        self._announce(9, self._greet)
        self.say("ok")

    def _stop_dead(self) -> None:
        if self.motor.moving(self.now_ns):
            self.motor.halt(self.now_ns)
            self._offset += _SLIPPED_STEPS / self.settings[102]
            self.witness.trusted = False
        self._stalled = False

    def _queue(self, target: float, rate: float) -> bool:
        moved = self._drive(target - self._offset, rate)
        self._program.append((self.motor.end_ns, target, rate))
        del self._program[: -_PLANNER_BLOCKS - 1]
        return moved

    def _drive(self, physical: float, rate: float) -> bool:
        return self.motor.go(
            physical,
            profile=lambda distance: trapezoid(
                distance=distance,
                speed=rate / _SECONDS_A_MINUTE,
                acceleration=self.settings[122],
            ),
            at_ns=self.now_ns,
        )

    def _beyond_soft_limits(self, target: float) -> bool:
        low, high = self.setup.travel
        return bool(self.settings[20]) and not low <= target <= high
