"""GRBL 1.1h as bytes in and lines out, in rig time, without threads.

Real-time bytes act wherever they stand; all others wait in a buffer of 128 bytes until the
main loop takes them line by line, so a sender that does not wait loses bytes as on the board.
"""

import re
from collections.abc import Callable

from zstackd_drivers.grbl.machine import GrblMachine, Mode
from zstackd_drivers.grbl.report import build_info, parameters, parser_state, settings_dump, status
from zstackd_drivers.grbl.setup import GrblSetup
from zstackd_drivers.grbl.words import MotionWords, Refused, parse_motion

_RX_BUFFER = 128
_LONGEST_LINE = 79
_EEPROM_S = 0.02
_ASCII = 0x80
_LINE_END = ord("\n")
_CARRIAGE_RETURN = ord("\r")
_COMMENT = re.compile(r"\([^)]*\)?|;.*")
_IGNORED = re.compile(r"[\x00-\x20/]")
_WCO_EVERY_IDLE = 10
_WCO_EVERY_BUSY = 30


class GrblFirmware:
    """One controller; `machine` is what it does, `lines` what was taken in."""

    def __init__(self, setup: GrblSetup) -> None:
        self.machine = GrblMachine(setup)
        self.motor = self.machine.motor
        self.witness = self.machine.witness
        self.lines: list[str] = []
        self._rx = bytearray()
        self._words = MotionWords()
        self._resets = 0
        self._deaf_until_ns = 0
        self._status_due = False
        self._until_offset = 0
        self._realtime: dict[int, Callable[[], None]] = {
            0x18: self.machine.soft_reset,
            0x85: self.machine.cancel_jog,
            ord("!"): self.machine.hold,
            ord("~"): self.machine.resume,
            ord("?"): self._ask_status,
        }

    def take_output(self) -> list[bytes]:
        """Return, and forget, the lines to send."""
        return self.machine.take_output()

    def next_event_ns(self) -> int | None:
        """Return the rig time at which `advance` has something to do."""
        machine = self.machine
        times = [machine.agenda.next_ns()]
        if b"\n" in self._rx or self._status_due:
            times += [machine.busy_until_ns, machine.motor.next_start_ns(machine.now_ns)]
        return min((at for at in times if at is not None and at > machine.now_ns), default=None)

    def advance(self, now_ns: int) -> None:
        """Let time pass until `now_ns`."""
        self.machine.agenda.advance(now_ns)
        self.machine.settle()
        self._forget_after_reset()
        self._report_if_due()
        self._run_lines()

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes from the line; those sent in a boot or an EEPROM write are lost."""
        self.advance(now_ns)
        if self.machine.mode is Mode.BOOT or now_ns < self._deaf_until_ns:
            return
        for byte in data:
            act = self._realtime.get(byte)
            if act is not None:
                act()
                self._forget_after_reset()
            elif byte < _ASCII and len(self._rx) < _RX_BUFFER:
                self._rx.append(_LINE_END if byte == _CARRIAGE_RETURN else byte)
        self._report_if_due()
        self._run_lines()

    def board_reset(self, now_ns: int) -> None:
        """Reboot as after power-up."""
        self.advance(now_ns)
        self.machine.board_reset()
        self._forget_after_reset()

    def is_reply(self, line: bytes) -> bool:
        """Return whether a line answers a command."""
        return line.startswith((b"ok", b"error"))

    def alarm(self) -> None:
        """Hit a limit switch."""
        self.machine.hard_limit()

    def stall(self) -> None:
        """Hang in mid-motion."""
        self.machine.stall()

    def _forget_after_reset(self) -> None:
        if self._resets == self.machine.resets:
            return
        self._resets = self.machine.resets
        self._rx.clear()
        self._words = MotionWords()
        self._status_due = False
        self._until_offset = 0
        self._deaf_until_ns = 0

    # Status reports.

    def _ask_status(self) -> None:
        if self.machine.mode is not Mode.CRITICAL:
            self._status_due = True
            self._report_if_due()

    def _report_if_due(self) -> None:
        machine = self.machine
        silent = machine.mode in {Mode.HOMING, Mode.BOOT} or machine.now_ns < machine.busy_until_ns
        if not self._status_due or silent:
            return
        self._status_due = False
        machine.settle()
        rate = 60 * machine.motor.speed(machine.now_ns)
        height, offset = machine.position(), machine.setup.work_offset
        machine.say(status(machine.state(), height, rate, self._extras(), work_offset=offset))

    def _extras(self) -> dict[str, bool]:
        mask = int(self.machine.settings[10])
        self._until_offset -= 1
        with_offset = self._until_offset <= 0
        if with_offset:
            busy = self.machine.mode in {Mode.JOG, Mode.RUN}
            self._until_offset = _WCO_EVERY_BUSY if busy else _WCO_EVERY_IDLE
        return {
            "work": not mask & 1,
            "buffer": bool(mask & 2),
            "offset": with_offset,
            "reordered": self._until_offset % 3 == 1,
        }

    # The main loop.

    def _run_lines(self) -> None:
        while b"\n" in self._rx and not self.machine.blocked():
            raw, _, rest = bytes(self._rx).partition(b"\n")
            self._rx = bytearray(rest)
            line = _cleaned(raw.decode("ascii"))
            self.lines.append(line)
            self.machine.settle()
            try:
                answered_later = self._execute(line)
            except Refused as refusal:
                self.machine.say(f"error:{refusal.code}")
            else:
                self.machine.say(*([] if answered_later else ["ok"]))

    def _execute(self, line: str) -> bool:
        """Run one line; return whether its `ok` comes later."""
        if len(line) > _LONGEST_LINE:
            raise Refused(11)
        if line.startswith("$J="):
            self.machine.require(Mode.IDLE, Mode.JOG)
            self.machine.move(parse_motion(line[3:], MotionWords(), jog=True), Mode.JOG)
        elif line == "$H":
            self.machine.home()
            return True
        elif line.startswith("$"):
            self._system(line)
        elif line:
            self._program_line(line)
        return False

    def _program_line(self, line: str) -> None:
        if self.machine.mode in {Mode.ALARM, Mode.JOG}:
            raise Refused(9)
        self._words = parse_motion(line, self._words, jog=False)
        if self._words.dwell_s is not None:
            self.machine.busy_for(self._words.dwell_s, since_ns=self.machine.motor.end_ns)
        else:
            self.machine.move(self._words, Mode.RUN)

    def _system(self, line: str) -> None:
        if line in {"$I", "$#"}:
            self.machine.require(Mode.IDLE, Mode.ALARM)
        if line == "$X":
            self.machine.unlock()
        elif line == "$$":
            self.machine.say(*settings_dump(self.machine.settings))
        elif line in {"$I", "$#", "$G", "$"}:
            offset = self.machine.setup.work_offset
            texts = {
                "$I": lambda: build_info(self.machine.setup.travel),
                "$#": lambda: parameters(work_offset=offset),
                "$G": parser_state,
            }
            self.machine.say(*texts.get(line, lambda: ["[HLP:$$ $# $G $I $J=line $X $H]"])())
        else:
            self._store(line)

    def _store(self, line: str) -> None:
        self.machine.require(Mode.IDLE, Mode.ALARM)
        number, equals, value = line[1:].partition("=")
        settings = self.machine.settings
        if not number[:1].isdigit():
            raise Refused(2)
        if not equals or not number.isdigit() or int(number) not in settings:
            raise Refused(3)
        amount = _amount(value)
        if number == "20" and amount and not settings[22]:
            raise Refused(10)
        settings[int(number)] = amount
        if number == "22" and not amount:
            settings[20] = 0
        self.machine.busy_for(_EEPROM_S)
        self._deaf_until_ns = self.machine.busy_until_ns


def _cleaned(line: str) -> str:
    """Return what the main loop keeps of a line."""
    return _IGNORED.sub("", _COMMENT.sub("", line)).upper()


def _amount(value: str) -> float:
    try:
        amount = float(value)
    except ValueError as error:
        raise Refused(2) from error
    if amount < 0:
        raise Refused(4)
    return amount
