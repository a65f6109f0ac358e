"""A simulated controller on a pseudo-terminal, with the motor and screw behind it."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from zstackd_drivers.clock import Clock
from zstackd_drivers.firmware.faults import Action, Fault, Script
from zstackd_drivers.firmware.line import Distortion, garbled, wrong_speed
from zstackd_drivers.firmware.motion import Motor
from zstackd_drivers.firmware.pty_port import PtyPort
from zstackd_drivers.firmware.setup import TwinSetup, Witness

_log = logging.getLogger(__name__)
_NS = 1_000_000_000
_IDLE_S = 0.5
_EEPROM_S = 0.3


class Firmware(Protocol):
    """A firmware as bytes in and lines out, in rig time, without threads.

    `lines` are those taken in; the owner empties it.
    """

    motor: Motor
    witness: Witness
    lines: list[str]

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes from the line."""
        ...

    def advance(self, now_ns: int) -> None:
        """Let time pass until `now_ns`."""
        ...

    def next_event_ns(self) -> int | None:
        """Return the rig time at which `advance` has something to do."""
        ...

    def take_output(self) -> list[bytes]:
        """Return, and forget, the lines to send."""
        ...

    def is_reply(self, line: bytes) -> bool:
        """Return whether a line that is sent answers a command."""
        ...

    def board_reset(self, now_ns: int) -> None:
        """Reboot as after power-up."""
        ...

    def alarm(self) -> None:
        """Fail by itself, as at a limit switch."""
        ...

    def stall(self) -> None:
        """Hang in mid-motion: nothing moves any more, and nothing is told."""
        ...


class FirmwareTwin:
    """The twin; a context manager that serves its port from a thread while entered."""

    def __init__(
        self,
        firmware: Firmware,
        *,
        setup: TwinSetup,
        clock: Clock,
        faults: Sequence[Fault] = (),
        link: Path | None = None,
    ) -> None:
        self._firmware = firmware
        self._setup = setup
        self._clock = clock
        self._lock = threading.Lock()
        self._script = Script(faults)
        self._line = Distortion(firmware.is_reply)
        self._port = PtyPort(link)
        self._stopping = False
        self._muted = False
        self._deaf_until_ns = 0
        self._garbles = 0
        self._thread = threading.Thread(target=self._serve, name="firmware twin", daemon=True)

    def __enter__(self) -> Self:
        self._firmware.advance(self._clock.monotonic_ns())
        self._port.open()
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping = True
        self._port.wake()
        self._thread.join()
        self._port.close()

    @property
    def port(self) -> str:
        """The device path a client opens; another one after each replug."""
        return self._port.name

    @property
    def violations(self) -> list[str]:
        """Motions that should never have been commanded."""
        with self._lock:
            return list(self._firmware.witness.violations)

    @property
    def motions(self) -> int:
        """How many motions were accepted."""
        with self._lock:
            return self._firmware.witness.motions

    def operator_confirms(self) -> None:
        """Let an operator have looked where the axis stands; motion is no violation then."""
        with self._lock:
            self._firmware.witness.trusted = True

    def true_position_um(self, at_ns: int | None = None) -> float:
        """Return the specimen's true height in micrometres at rig time `at_ns` (now if absent)."""
        with self._lock:
            return self._firmware.motor.specimen_um(self._time(at_ns))

    def motor_position_um(self, at_ns: int | None = None) -> float:
        """Return the motor's true height in micrometres, before any lost motion."""
        with self._lock:
            return self._firmware.motor.height_um(self._time(at_ns))

    def last_motion_end_ns(self) -> int | None:
        """Return the rig time at which motion last ended; the present while it moves."""
        now = self._clock.monotonic_ns()
        with self._lock:
            motor = self._firmware.motor
            return min(now, motor.end_ns) if motor.moved else None

    def script(self, fault: Fault) -> None:
        """Add a fault; `on_motion` counts from now."""
        with self._lock:
            self._script.add(fault.counted_from(self._firmware.witness.motions))
        self._port.wake()

    def _time(self, at_ns: int | None) -> int:
        return self._clock.monotonic_ns() if at_ns is None else at_ns

    def _serve(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except Exception:  # noqa: BLE001 - the edge of the thread
            _log.exception("the simulated controller failed")
            self._port.unplug()

    def _turn(self) -> None:
        present = self._port.client_present
        data = self._carried(self._port.read(self._patience_s()))
        now = self._clock.monotonic_ns()
        with self._lock:
            if self._port.client_present and not present and self._setup.resets_on_open:
                self._firmware.board_reset(now)
            self._work(data, now)
            chunks = self._line.send(self._firmware.take_output())
        for chunk in chunks:
            if not self._muted:
                self._port.write(self._carried(chunk))

    def _work(self, data: bytes, now: int) -> None:
        self._meet_faults(now)
        if data and now >= self._deaf_until_ns:
            self._firmware.receive(self._spoilt(data), now)
        else:
            self._firmware.advance(now)
        lines, self._firmware.lines = self._firmware.lines, []
        self._script.see(motions=self._firmware.witness.motions, lines=lines, now_ns=now)
        self._meet_faults(now)

    def _meet_faults(self, now: int) -> None:
        """Let each fault strike at its own time, however late this thread comes to it."""
        while (due := self._script.next_ns()) is not None and due < now:
            self._firmware.advance(due)
            self._take_faults(due)
        self._take_faults(now)

    def _take_faults(self, at_ns: int) -> None:
        for fault in self._script.take_due(at_ns, moving=self._firmware.motor.moving(at_ns)):
            self._fail(fault, at_ns)

    def _fail(self, fault: Fault, now: int) -> None:
        match fault.action:
            case Action.RESET:
                self._firmware.board_reset(now)
            case Action.ALARM:
                self._firmware.alarm()
            case Action.STALL:
                self._firmware.stall()
            case Action.UNPLUG:
                self._port.unplug()
            case Action.REPLUG:
                self._port.replug()
                self._firmware.board_reset(now)
            case Action.SILENCE:
                self._muted = True
            case Action.EEPROM:
                self._deaf_until_ns = now + round(_EEPROM_S * _NS)
            case Action.GARBLE:
                self._garbles += 1
            case _:
                self._line.distort(fault)

    def _carried(self, data: bytes) -> bytes:
        """Return what arrives of `data` at the other end: noise, where the speeds differ."""
        return data if not data or self._in_tune() else wrong_speed(data)

    def _in_tune(self) -> bool:
        return not self._port.client_present or self._port.client_baud() == self._setup.baud

    def _spoilt(self, data: bytes) -> bytes:
        if not self._garbles:
            return data
        self._garbles -= 1
        return garbled(data)

    def _patience_s(self) -> float:
        with self._lock:
            times = (self._firmware.next_event_ns(), self._script.next_ns())
        due = min((at for at in times if at is not None), default=None)
        if due is None:
            return _IDLE_S
        left = (due - self._clock.monotonic_ns()) / _NS / self._clock.scale
        return min(max(left, 0.0), _IDLE_S)
