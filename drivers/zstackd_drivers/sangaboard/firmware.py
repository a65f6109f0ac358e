"""A Sangaboard as bytes in and lines out, in rig time, without threads.

Firmware 1 answers at any time; 0.5 is deaf while the motor moves, and hears afterwards what its
64 bytes of buffer hold. Each command is answered by one line, `list_modules` by several.
"""

import re
from collections.abc import Callable

from zstackd_drivers.sangaboard.machine import SangaboardMachine
from zstackd_drivers.sangaboard.setup import SangaboardSetup

_NS = 1_000_000_000
_RX_BUFFER = 64
_BOOT_S = 1.4
_EEPROM_S = 0.01
_UNKNOWN = "Type 'help' for a list of commands."
_Z_ONLY = 4
_NUMBER = re.compile(r"-?\d{1,9}")

Answer = Callable[[str], None]


class SangaboardFirmware:
    """One board; `machine` is what it does, `lines` what was taken in."""

    def __init__(self, setup: SangaboardSetup) -> None:
        self.machine = SangaboardMachine(setup)
        self.motor = self.machine.motor
        self.witness = self.machine.witness
        self.lines: list[str] = []
        self._setup = setup
        self._rx = bytearray()
        self._out: list[bytes] = []
        self._booting = False
        self._busy_until_ns = 0
        self._waits_for_end = setup.blocks or setup.blocking_moves
        self._blocked = False
        # A command is the first of these that the line begins with, as in the firmware.
        self._commands: list[tuple[str, Answer]] = [
            ("version", lambda _: self._say(self._version())),
            ("list_modules", lambda _: self._list_modules()),
            ("mrz ", lambda words: self._move(words, 0)),
            ("mr ", lambda words: self._move(words, 2)),
            ("release", lambda _: self._say("done" if not setup.blocks else "motors released")),
            ("p?", lambda _: self._say(f"0 0 {self.machine.position()}")),
            ("ramp_time", self._ramp_time),
            ("min_step_delay", self._step_delay),
            ("dt", self._step_delay),
            ("zero", lambda _: self._zero()),
        ]
        if not setup.blocks:
            self._commands += [
                ("stop", lambda _: self._stop()),
                ("moving", lambda _: self._say("true" if self.machine.moving() else "false")),
                ("blocking_moves", self._blocking_moves),
            ]
        if setup.end_stops:
            self._commands += [(f"home_{end}", self._homing(end)) for end in setup.end_stops]

    def take_output(self) -> list[bytes]:
        """Return, and forget, the lines to send."""
        out, self._out = self._out, []
        return out

    def is_reply(self, line: bytes) -> bool:
        """Return whether a line answers a command: all do but those told at a switch."""
        return not line.startswith((b"Endstop", b"Sangaboard"))

    def next_event_ns(self) -> int | None:
        """Return the rig time at which `advance` has something to do."""
        times = [self.machine.agenda.next_ns()]
        if self._rx:
            times.append(self._busy_until_ns)
        return min(
            (at for at in times if at is not None and at > self.machine.now_ns), default=None
        )  # fmt: skip

    def advance(self, now_ns: int) -> None:
        """Let time pass until `now_ns`."""
        self.machine.agenda.advance(now_ns)
        self._work()

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes from the line; those sent in a boot, or beyond the buffer, are lost."""
        self.advance(now_ns)
        if not self._booting:
            self._rx += data[: _RX_BUFFER - len(self._rx)]
            self._work()

    def board_reset(self, now_ns: int) -> None:
        """Reboot as after power-up."""
        self.machine.agenda.advance(now_ns)
        self._rx.clear()
        self._busy_until_ns = 0
        self._blocked = False
        self._booting = True
        self.machine.reset(_BOOT_S, self._booted)

    def alarm(self) -> None:
        """Meet an end stop in mid-motion."""
        if not self.machine.end_stop():
            return
        if self._setup.blocks:
            self._finished()
        else:
            self._say("Endstop hit:-3")

    def stall(self) -> None:
        """Hang in mid-motion."""
        self.machine.stall()

    def _booted(self) -> None:
        self._booting = False
        self._say(self._version())

    def _version(self) -> str:
        return f"Sangaboard Firmware v{self._setup.version}"

    def _say(self, *lines: str) -> None:
        self._out += [line.encode("ascii") + b"\r\n" for line in lines]

    # The main loop.

    def _work(self) -> None:
        while b"\n" in self._rx and not self._is_deaf():
            raw, _, rest = bytes(self._rx).partition(b"\n")
            self._rx = bytearray(rest)
            line = raw.decode("ascii", errors="replace").strip("\r")
            self.lines.append(line)
            if line or not self._setup.blocks:
                self._run(line)

    def _is_deaf(self) -> bool:
        return self._booting or self._blocked or self.machine.now_ns < self._busy_until_ns

    def _run(self, line: str) -> None:
        for name, answer in self._commands:
            if line.startswith(name):
                answer(line[len(name) :])
                return
        self._say(_UNKNOWN)

    def _write_eeprom(self) -> None:
        self._busy_until_ns = self.machine.agenda.after(_EEPROM_S)

    # Commands.

    def _move(self, words: str, place: int) -> None:
        numbers = [int(word) for word in _NUMBER.findall(words)]
        if len(numbers) <= place:
            self._say("Error: command is mr <int> <int> <int>")
            return
        self._blocked = self._setup.blocks
        self.machine.move(numbers[place], self._finished)
        if not self._waits_for_end:
            self._say("done.")

    def _finished(self) -> None:
        if self._blocked:
            self._write_eeprom()
            self._say("done.")
        elif self._waits_for_end:
            self._say("stopped")
        self._blocked = False

    def _stop(self) -> None:
        self.machine.stop()
        self._say("Move aborted")

    def _zero(self) -> None:
        self.machine.zero()
        self._write_eeprom()
        self._say("position reset to 0 0 0")

    def _ramp_time(self, words: str) -> None:
        if words.strip() == "?":
            name = "ramp time" if self._setup.blocks else "ramp_time"
            self._say(f"{name} {self.machine.ramp_us}")
        elif _NUMBER.fullmatch(words.strip()):
            self.machine.ramp_us = int(words)
            self._write_eeprom()
            self._say("done.")

    def _step_delay(self, words: str) -> None:
        if words.strip() == "?":
            self._say(f"minimum step delay {self.machine.delay_us}")
        elif _NUMBER.fullmatch(words.strip()):
            self.machine.delay_us = int(words)
            self._write_eeprom()
            self._say("done.")

    def _blocking_moves(self, words: str) -> None:
        if words.strip() == "?":
            self._say(f"blocking_moves {'true' if self._waits_for_end else 'false'}")
        else:
            self._waits_for_end = words.strip().startswith("t")
            self._write_eeprom()
            self._say("done.")

    def _list_modules(self) -> None:
        if self._setup.end_stops:
            self._say(f"Endstops: {' '.join(self._setup.end_stops)} soft")
        self._say("--END--")

    def _homing(self, end: str) -> Answer:
        code = -3 if end == "min" else 3

        def home(words: str) -> None:
            if words.strip() != str(_Z_ONLY):
                return
            self._blocked = self._setup.blocks
            self.machine.home(end, hit=lambda: self._hit(code), done=self._homed)
            if not self._setup.blocks:
                self._say("done.")

        return home

    def _hit(self, code: int) -> None:
        if not self._setup.blocks:
            self._say(f"Endstop hit:{code}", "done.")

    def _homed(self) -> None:
        # Firmware 0.5 looks for a switch that does not close until the power is cut.
        if self._setup.blocks and not self._setup.home_fails:
            self._finished()
