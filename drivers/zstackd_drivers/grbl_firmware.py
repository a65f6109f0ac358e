"""GRBL 1.1h as bytes in and bytes out, in rig time, without threads.

Real-time bytes act wherever they stand; all others wait in a buffer of 128 bytes until the
main loop takes them line by line, so a sender that does not wait loses bytes as on the board.
"""

import heapq
from collections.abc import Callable
from enum import Enum
from itertools import count

from zstackd_drivers.grbl_report import build_info, parameters, settings_dump, status
from zstackd_drivers.grbl_setup import TwinSetup
from zstackd_drivers.grbl_words import MotionWords, Refused, parse_motion
from zstackd_drivers.twin_motion import Mechanics, Motor

_NS = 1_000_000_000
_RX_BUFFER = 128
_LONGEST_LINE = 79
_PLANNER_BLOCKS = 15
_BOOT_S = 1.4
_ALARM_MESSAGE_S = 0.5
_EEPROM_S = 0.02
_SLIPPED_STEPS = 7
_MAX_RATE = 60.0
_LOCK_MESSAGE = "[MSG:'$H'|'$X' to unlock]"


class Mode(Enum):
    """The state machine's states, as the report names them where it does."""

    BOOT = "Boot"
    IDLE = "Idle"
    JOG = "Jog"
    RUN = "Run"
    HOLD = "Hold"
    HOMING = "Home"
    ALARM = "Alarm"
    CRITICAL = "Critical"


class GrblFirmware:
    """One controller; times are rig nanoseconds and never go back."""

    def __init__(self, setup: TwinSetup) -> None:
        self.setup = setup
        self.settings = setup.all_settings()
        mechanics = Mechanics(setup.um_per_unit, setup.origin_um, setup.backlash_um, setup.engaged)
        self.motor = Motor(
            mechanics=mechanics, steps_per_unit=self.settings[102], start=setup.start
        )
        self.violations: list[str] = []
        self.motions = 0
        self.lines: list[str] = []
        self._mode = Mode.IDLE
        self._offset = -setup.start
        self._trusted = False
        self._stalled = False
        self._words = MotionWords()
        self._program: list[tuple[int, float, float]] = []
        self._now = 0
        self._busy_until = 0
        self._deaf_until = 0
        self._status_due = False
        self._wco_in = 0
        self._rx = bytearray()
        self._out: list[bytes] = []
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._lock_if_homing()

    def machine(self, at_ns: int) -> float:
        """Return the position the controller believes in, in its units."""
        return self.motor.position(at_ns) + self._offset

    def take_output(self) -> list[bytes]:
        """Return, and forget, the lines to send."""
        out, self._out = self._out, []
        return out

    def next_event_ns(self) -> int | None:
        """Return the rig time at which `advance` has something to do."""
        times = [self._timers[0][0]] if self._timers else []
        if b"\n" in self._rx or self._status_due:
            times.append(self._busy_until)
            times.append(self.motor.end_ns)
        future = [at for at in times if at > self._now]
        return min(future, default=None)

    def advance(self, now_ns: int) -> None:
        """Let time pass until `now_ns`."""
        while self._timers and self._timers[0][0] <= now_ns:
            due, _, act = heapq.heappop(self._timers)
            self._now = max(self._now, due)
            act()
        self._now = max(self._now, now_ns)
        self._settle()
        self._report_if_due()
        self._run_lines()

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes from the line; those sent while the EEPROM is written are lost."""
        self.advance(now_ns)
        if self._mode is Mode.BOOT or now_ns < self._deaf_until:
            return
        for byte in data:
            act = self._REALTIME.get(byte)
            if act is not None:
                act(self)
            elif byte < 0x80 and len(self._rx) < _RX_BUFFER:  # noqa: PLR2004
                self._rx.append(byte if byte != ord("\r") else ord("\n"))
        self._report_if_due()
        self._run_lines()

    def board_reset(self, now_ns: int) -> None:
        """Reboot as after power-up: motion dies, the count starts at zero."""
        self.advance(now_ns)
        self._stop_dead()
        self._offset = -self.motor.destination()
        self._clear(Mode.BOOT)
        self._trusted = False
        self._later(_BOOT_S, self._booted)

    def hard_limit(self, now_ns: int) -> None:
        """Trip a limit switch: ALARM:1, and nothing but a reset helps."""
        self.advance(now_ns)
        self._stop_dead()
        self._clear(Mode.CRITICAL)
        self._trusted = False
        self._say("ALARM:1")
        self._busy_until = self._after(_ALARM_MESSAGE_S)
        self._later(_ALARM_MESSAGE_S, lambda: self._say("[MSG:Reset to continue]"))

    def stall(self, now_ns: int) -> None:
        """Hang in mid-motion: the state stays what it is and nothing moves."""
        self.advance(now_ns)
        self.motor.halt(now_ns)
        self._stalled = True

    # Real-time bytes.

    def _soft_reset(self) -> None:
        if self._mode is Mode.CRITICAL and self._now < self._busy_until:
            return
        alarm = None
        if self._mode is Mode.HOMING:
            alarm = 6
        elif self.motor.moving(self._now) or self._stalled:
            alarm = 3
        locked = alarm is not None or self._mode in {Mode.ALARM, Mode.CRITICAL}
        self._stop_dead()
        self._clear(Mode.ALARM if locked else Mode.IDLE)
        self._trusted = self._trusted and not locked
        if alarm is None:
            self._greet()
            return
        self._say(f"ALARM:{alarm}")
        self._busy_until = self._after(_ALARM_MESSAGE_S)
        self._later(_ALARM_MESSAGE_S, self._greet)

    def _ask_status(self) -> None:
        if self._mode is not Mode.CRITICAL:
            self._status_due = True
            self._settle()
            self._report_if_due()

    def _hold(self) -> None:
        self._settle()
        if self._mode is Mode.JOG:
            self._cancel_jog()
        elif self._mode is Mode.RUN:
            self._program = [entry for entry in self._program if entry[0] > self._now]
            self.motor.brake(self.settings[122], self._now)
            self._mode = Mode.HOLD
        elif self._mode is Mode.IDLE:
            self._program = []
            self._mode = Mode.HOLD

    def _resume(self) -> None:
        if self._mode is not Mode.HOLD:
            return
        program, self._program = self._program, []
        self._mode = Mode.RUN if program else Mode.IDLE
        for _, target, rate in program:
            self._queue(target, rate)

    def _cancel_jog(self) -> None:
        self._settle()
        if self._mode is Mode.JOG and not self._stalled:
            self.motor.brake(self.settings[122], self._now)

    _REALTIME = {  # noqa: RUF012
        0x18: _soft_reset,
        ord("?"): _ask_status,
        ord("!"): _hold,
        ord("~"): _resume,
        0x85: _cancel_jog,
    }

    # The main loop.

    def _run_lines(self) -> None:
        while b"\n" in self._rx and not self._blocked():
            raw, _, rest = bytes(self._rx).partition(b"\n")
            self._rx = bytearray(rest)
            line = raw.decode("ascii").replace(" ", "").upper()
            self.lines.append(line)
            try:
                done = self._execute(line, len(raw))
            except Refused as refusal:
                self._say(f"error:{refusal.code}")
            else:
                if done:
                    self._say("ok")

    def _blocked(self) -> bool:
        return (
            self._mode in {Mode.BOOT, Mode.HOMING, Mode.CRITICAL, Mode.HOLD}
            or self._now < self._busy_until
            or self.motor.waiting(self._now) >= _PLANNER_BLOCKS
        )

    def _execute(self, line: str, length: int) -> bool:
        self._settle()
        if length > _LONGEST_LINE:
            raise Refused(11)
        if line.startswith("$J="):
            self._require(Mode.IDLE, Mode.JOG)
            self._move(parse_motion(line[3:], MotionWords(), jog=True), Mode.JOG)
        elif line.startswith("$"):
            return self._system(line)
        elif line:
            self._gcode(line)
        return True

    def _gcode(self, line: str) -> None:
        if self._mode in {Mode.ALARM, Mode.JOG}:
            raise Refused(9)
        self._words = parse_motion(line, self._words, jog=False)
        if self._words.dwell_s is not None:
            start = max(self._now, self.motor.end_ns)
            self._busy_until = start + round(self._words.dwell_s * _NS)
        else:
            self._move(self._words, Mode.RUN)

    def _system(self, line: str) -> bool:
        if line == "$H":
            return self._home()
        if line in {"$$", "$I", "$#", "$G", "$X", "$"}:
            self._information(line)
        else:
            self._store(line)
        return True

    def _information(self, line: str) -> None:
        if line in {"$I", "$#"}:
            self._require(Mode.IDLE, Mode.ALARM)
        if line == "$X" and self._mode is Mode.ALARM:
            self._mode = Mode.IDLE
            self._say("[MSG:Caution: Unlocked]")
        self._trusted = self._trusted or line == "$X"
        texts = {
            "$$": lambda: settings_dump(self.settings),
            "$I": build_info,
            "$#": parameters,
            "$G": lambda: ["[GC:G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0]"],
            "$": lambda: [
                "[HLP:$$ $# $G $I $N $x=val $Nx=line $J=line $SLP $C $X $H ~ ! ? ctrl-x]"
            ],
        }
        for text in texts.get(line, list)():
            self._say(text)

    def _store(self, line: str) -> None:
        self._require(Mode.IDLE, Mode.ALARM)
        number, equals, value = line[1:].partition("=")
        if not equals or not number.isdigit():
            raise Refused(3)
        if int(number) not in self.settings:
            raise Refused(3)
        if number == "20" and float(value) and not self.settings[22]:
            raise Refused(10)
        self.settings[int(number)] = float(value)
        if number == "22" and not float(value):
            self.settings[20] = 0
        self._deaf_until = self._busy_until = self._after(_EEPROM_S)

    def _require(self, *modes: Mode) -> None:
        if self._mode not in modes:
            raise Refused(8)

    # Motion.

    def _move(self, words: MotionWords, mode: Mode) -> None:
        if words.z is None:
            return
        start = self.motor.destination() + self._offset
        if self._mode is Mode.IDLE:
            start = self.machine(self._now)
        target = words.z if words.absolute else start + words.z
        if self._out_of_travel(target):
            if mode is Mode.JOG:
                raise Refused(15)
            self._soft_limit()
            return
        self._judge(target)
        rate = min(words.feed or self.settings[112], self.settings[112])
        if self._queue(target, rate):
            self._mode = mode
        self.motions += 1

    def _queue(self, target: float, rate: float) -> bool:
        moved = self.motor.go(
            target - self._offset,
            speed=rate / _MAX_RATE,
            acceleration=self.settings[122],
            at_ns=self._now,
        )
        self._program.append((self.motor.end_ns, target, rate))
        del self._program[: -_PLANNER_BLOCKS - 1]
        return moved

    def _out_of_travel(self, target: float) -> bool:
        low, high = self.setup.travel
        return bool(self.settings[20]) and not low <= target <= high

    def _soft_limit(self) -> None:
        self.motor.brake(self.settings[122], self._now)
        self._clear(Mode.CRITICAL)
        self._say("ALARM:2")
        self._busy_until = self._after(_ALARM_MESSAGE_S)
        self._later(_ALARM_MESSAGE_S, lambda: self._say("[MSG:Reset to continue]"))

    def _judge(self, target: float) -> None:
        low, high = self.setup.travel
        if not self._trusted:
            self.violations.append(f"motion to {target:g} on an unknown position")
        elif not low <= target - self._offset <= high:
            self.violations.append(f"motion to {target:g}, beyond {low:g} to {high:g}")

    def _home(self) -> bool:
        self._require(Mode.IDLE, Mode.ALARM)
        if not self.settings[22]:
            raise Refused(5)
        self._mode = Mode.HOMING
        low, high = self.setup.travel
        switch, inward = (high, -1) if self.setup.home == "high" else (low, 1)
        seek, feed = self.settings[25], self.settings[24]
        pull = inward * self.settings[27]
        for target, rate in ((switch, seek), (switch + pull, seek), (switch, feed)):
            self._drive(target, rate)
        self._drive(switch + pull, seek)
        left_s = (self.motor.end_ns - self._now) / _NS
        self._later(left_s, self._home_failed if self.setup.home_fails else self._homed)
        return False

    def _drive(self, physical: float, rate: float) -> None:
        acceleration = self.settings[122]
        self.motor.go(physical, speed=rate / 60, acceleration=acceleration, at_ns=self._now)

    def _homed(self) -> None:
        self._offset = 0.0
        self._trusted = True
        self._mode = Mode.IDLE
        self._say("ok")

    def _home_failed(self) -> None:
        self._clear(Mode.ALARM)
        self._say("ALARM:9")
        self._say("ok")
        self._busy_until = self._after(_ALARM_MESSAGE_S)
        self._later(_ALARM_MESSAGE_S, self._greet)

    def _stop_dead(self) -> None:
        if self.motor.moving(self._now):
            self.motor.halt(self._now)
            self._offset += _SLIPPED_STEPS / self.settings[102]
            self._trusted = False
        self._stalled = False

    # Small things.

    def _settle(self) -> None:
        resting = not self.motor.moving(self._now) and not self._stalled
        if self._mode in {Mode.JOG, Mode.RUN} and resting:
            self._mode = Mode.IDLE

    def _report_if_due(self) -> None:
        if not self._status_due or self._mode in {Mode.HOMING, Mode.BOOT}:
            return
        if self._now < self._busy_until:
            return
        self._status_due = False
        self._say(status(self._state(), self.machine(self._now), self._speed(), self._extras()))

    def _state(self) -> str:
        if self._mode is Mode.HOLD:
            return f"Hold:{int(self.motor.moving(self._now))}"
        return self._mode.value

    def _speed(self) -> float:
        return 60 * self.motor.speed(self._now)

    def _extras(self) -> dict[str, bool]:
        self._wco_in -= 1
        with_offset = self._wco_in <= 0
        if with_offset:
            self._wco_in = 30 if self._mode in {Mode.JOG, Mode.RUN} else 10
        return {
            "work": not int(self.settings[10]) & 1,
            "buffer": bool(int(self.settings[10]) & 2),
            "offset": with_offset,
            "reordered": self._wco_in % 3 == 1,
        }

    def _booted(self) -> None:
        self._mode = Mode.IDLE
        self._lock_if_homing()
        if self.setup.blank_eeprom:
            self._say("error:7")
            for text in settings_dump(self.settings):
                self._say(text)
        self._greet()

    def _lock_if_homing(self) -> None:
        if self.settings[22]:
            self._mode = Mode.ALARM

    def _greet(self) -> None:
        self._say("")
        self._say("Grbl 1.1h ['$' for help]")
        if self._mode is Mode.ALARM:
            self._say(_LOCK_MESSAGE)

    def _clear(self, mode: Mode) -> None:
        self._timers.clear()
        self._rx.clear()
        self._program.clear()
        self._words = MotionWords()
        self._mode = mode
        self._status_due = False
        self._busy_until = self._deaf_until = self._now
        self._wco_in = 0

    def _say(self, line: str) -> None:
        self._out.append(line.encode("ascii") + b"\r\n")

    def _after(self, seconds: float) -> int:
        return self._now + round(seconds * _NS)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self._after(seconds), next(self._order), act))
