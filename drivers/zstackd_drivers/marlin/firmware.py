"""Marlin 2 as bytes in and lines out, in rig time, without threads.

Lines wait in a queue of four and are executed one after the other, each answered by `ok`; while
one takes its time, `echo:busy` is said every few seconds, as M113 has it. M410 and M112 act as
soon as they are read. A line may have a number and a checksum; one that does not fit is asked for
again.
"""

import re
from collections import deque
from collections.abc import Callable

from zstackd_drivers.marlin.machine import MarlinMachine
from zstackd_drivers.marlin.report import end_stops, greeting, identity, position, settings
from zstackd_drivers.marlin.setup import MarlinSetup

_NS = 1_000_000_000
_RX_BUFFER = 128
_QUEUE = 4
_BOOT_S = 1.4
_LONGEST_KEEPALIVE_S = 60.0
_SECONDS_A_MINUTE = 60.0
_MM_PER_INCH = 25.4
_NUMBERED = re.compile(r"N(-?\d+) *(.*?)(?:\*(\d+))?")
_LINE_NUMBER = re.compile(r"M110 *N(-?\d+)")
_WORD = re.compile(r"([A-Z])(-?\d*\.?\d*)")

Words = dict[str, float]


class MarlinFirmware:
    """One controller; `machine` is what it does, `lines` what was taken in."""

    def __init__(self, setup: MarlinSetup) -> None:
        self.machine = MarlinMachine(setup)
        self.motor = self.machine.motor
        self.witness = self.machine.witness
        self.lines: list[str] = []
        self._setup = setup
        self._booting = False
        self._commands: dict[str, Callable[[Words], None]] = {
            "G0": self._move, "G1": self._move, "G28": self._home, "G92": self._set_position,
            "G90": self._absolute, "G91": self._relative, "M114": self._where,
            "M115": lambda _: self.machine.say(*identity()), "M503": self._settings,
            "M211": self._end_stops, "M400": self._finish, "M410": self._quick_stop,
            "G20": self._inches, "G21": self._millimetres,
            "M220": self._speed_factor,
            "M113": self._keepalive,
            "M110": lambda _: None, "M17": lambda _: None, "M84": self._idle_limit,
        }  # fmt: skip
        self._begin()

    def take_output(self) -> list[bytes]:
        """Return, and forget, the lines to send."""
        return self.machine.take_output()

    def is_reply(self, line: bytes) -> bool:
        """Return whether a line answers a command."""
        return line.startswith(b"ok")

    def next_event_ns(self) -> int | None:
        """Return the rig time at which `advance` has something to do."""
        machine = self.machine
        times = [machine.agenda.next_ns()]
        if self._queue:
            times += [machine.motor.next_start_ns(machine.now_ns), machine.motor.end_ns]
            times += [self._busy_ns] if self._keepalive_s else []
        return min((at for at in times if at is not None and at > machine.now_ns), default=None)

    def advance(self, now_ns: int) -> None:
        """Let time pass until `now_ns`."""
        self.machine.agenda.advance(now_ns)
        self._work()

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes from the line; those sent in a boot, or after a kill, are lost."""
        self.advance(now_ns)
        if self._booting or self.machine.halted:
            return
        self._rx += data.replace(b"\r", b"\n")[: _RX_BUFFER - len(self._rx)]
        self._work()

    def board_reset(self, now_ns: int) -> None:
        """Reboot as after power-up."""
        self.machine.agenda.advance(now_ns)
        self._begin()
        self._booting = True
        self.machine.reset(_BOOT_S, self._booted)

    def alarm(self) -> None:
        """Fail as when a heater's sensor falls off."""
        self.machine.say("Error:MINTEMP triggered, system stopped! Heater_ID: bed")
        self.machine.kill()

    def stall(self) -> None:
        """Hang in mid-motion."""
        self.machine.stall()

    def _begin(self) -> None:
        self._rx = bytearray()
        self._queue: deque[str] = deque()
        self._waiting: Callable[[], bool] | None = None
        self._last_number = 0
        self._is_absolute = True
        self._mm_per_word = 1.0
        self._speed = self._setup.max_speed
        self._percent = 100.0
        self._busy_ns = 0
        self._keepalive_s = self._setup.keepalive_s

    def _booted(self) -> None:
        self._booting = False
        if self._setup.greets:
            self.machine.say(*greeting())

    # Reading lines.

    def _work(self) -> None:
        """Read and execute until nothing is left, or something takes its time."""
        while not self.machine.halted:
            read = self._read_line()
            if not self._run_next() and not read:
                return

    def _read_line(self) -> bool:
        if b"\n" not in self._rx or len(self._queue) >= _QUEUE:
            return False
        raw, _, rest = bytes(self._rx).partition(b"\n")
        self._rx = bytearray(rest)
        line = raw.decode("ascii", errors="replace").partition(";")[0].strip()
        if line:
            self.lines.append(line)
            self._take(line)
        return True

    def _take(self, line: str) -> None:
        command = line
        if line.startswith("N"):
            numbered = self._numbered(line)
            if numbered is None:
                return
            command = numbered
        elif line.startswith("M112"):
            self.machine.kill()
        elif line.startswith("M410"):
            self.machine.quick_stop()
        if renumbered := _LINE_NUMBER.match(command):
            self._last_number = int(renumbered[1])
        if not self._queue:
            self._busy_later()
        self._queue.append(command)

    def _numbered(self, line: str) -> str | None:
        """Return the command of a line whose number and checksum are right."""
        match = _NUMBERED.fullmatch(line)
        if match is None or (int(match[1]) != self._last_number + 1 and "M110" not in line):
            self._refuse("Line Number is not Last Line Number+1")
        elif match[3] is None:
            self._refuse("No Checksum with line number")
        elif int(match[3]) != _checksum(line.rpartition("*")[0]):
            self._refuse("checksum mismatch")
        else:
            self._last_number = int(match[1])
            return match[2]
        return None

    def _refuse(self, why: str) -> None:
        self._rx.clear()
        self.machine.say(f"Error:{why}, Last Line: {self._last_number}")
        self.machine.say(f"Resend: {self._last_number + 1}")
        if self._setup.legacy:
            self.machine.say("ok")

    # Executing them.

    def _run_next(self) -> bool:
        if not self._queue:
            return False
        if self._waiting is None:
            self._waiting = lambda: False
            self._execute(self._queue[0])
        if self._waiting():
            self._say_busy()
            return False
        self._waiting = None
        self._queue.popleft()
        self._busy_later()
        if not self.machine.halted:
            self._say_ok()
        return True

    def _say_ok(self) -> None:
        free = _QUEUE - len(self._queue)
        self.machine.say(f"ok P15 B{free}" if self._setup.advanced_ok else "ok")

    def _say_busy(self) -> None:
        if self._keepalive_s and self.machine.now_ns >= self._busy_ns:
            self._busy_later()
            self.machine.say("echo:busy: processing")

    def _busy_later(self) -> None:
        self._busy_ns = self.machine.agenda.after(self._keepalive_s or 0.0)

    def _execute(self, command: str) -> None:
        name, words = _parse(command)
        act = self._commands.get(name)
        if act is None:
            self._do_not_know(command)
        else:
            act(words)

    def _do_not_know(self, command: str) -> None:
        self.machine.say(f'echo:Unknown command: "{command}"')

    def _move(self, words: Words) -> None:
        if "F" in words:
            self._speed = words["F"] * self._mm_per_word / _SECONDS_A_MINUTE
        if "Z" in words:
            base = 0.0 if self._is_absolute else self.machine.logical()
            speed = self._speed * self._percent / 100
            self.machine.move(base + words["Z"] * self._mm_per_word, speed)
            self._waiting = self.machine.full

    def _home(self, _: Words) -> None:
        if self._setup.homes_xy:
            self.machine.say("echo:Home XY First")
            return
        self.machine.home()
        self._waiting = self.machine.homing

    def _set_position(self, words: Words) -> None:
        self.machine.set_position(words.get("Z", 0.0))

    def _absolute(self, _: Words) -> None:
        self._is_absolute = True

    def _relative(self, _: Words) -> None:
        self._is_absolute = False

    def _inches(self, _: Words) -> None:
        self._mm_per_word = _MM_PER_INCH

    def _millimetres(self, _: Words) -> None:
        self._mm_per_word = 1.0

    def _speed_factor(self, words: Words) -> None:
        self._percent = words.get("S", self._percent)

    def _idle_limit(self, words: Words) -> None:
        self.machine.idle_limit_s = words.get("S", self.machine.idle_limit_s)

    def _keepalive(self, words: Words) -> None:
        if self._keepalive_s is None:
            self._do_not_know("M113")
        elif "S" in words:
            self._keepalive_s = min(words["S"], _LONGEST_KEEPALIVE_S)
        else:
            self.machine.say(f"echo:M113 S{self._keepalive_s:.0f}")

    def _where(self, _: Words) -> None:
        if self._setup.legacy and self.machine.moving():
            self._waiting = self._where_at_rest
        else:
            self.machine.say(position(self.machine.logical(), self.machine.count))

    def _where_at_rest(self) -> bool:
        if self.machine.moving():
            return True
        self.machine.say(position(self.machine.logical(), self.machine.count))
        return False

    def _settings(self, _: Words) -> None:
        if self._setup.reports_settings:
            self.machine.say(*settings(self._setup))
        else:
            self._do_not_know("M503")

    def _end_stops(self, words: Words) -> None:
        if "S" in words:
            self.machine.soft_end_stops = bool(words["S"])
        self.machine.say(end_stops(self._setup, active=self.machine.soft_end_stops))

    def _finish(self, _: Words) -> None:
        self._waiting = self.machine.moving

    def _quick_stop(self, _: Words) -> None:
        self.machine.quick_stop()


def _parse(command: str) -> tuple[str, Words]:
    """Return a command's name and words; a word without a number counts as 0."""
    words = _WORD.findall(command.upper().replace(" ", ""))
    if not words:
        return "", {}
    name = f"{words[0][0]}{words[0][1]}"
    return name, {letter: _number(text) for letter, text in words[1:]}


def _checksum(text: str) -> int:
    checksum = 0
    for byte in text.encode("ascii", errors="replace"):
        checksum ^= byte
    return checksum


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
