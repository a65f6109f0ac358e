"""A simulated GRBL controller on a pseudo-terminal, with the motor and screw behind it.

`python -m zstackd_drivers.grbl_twin` prints the port's name and serves until end of input.
"""

import argparse
import contextlib
import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from zstackd_drivers.clock import Clock, ScaledClock
from zstackd_drivers.grbl_firmware import GrblFirmware
from zstackd_drivers.grbl_setup import TwinSetup
from zstackd_drivers.other_firmware import OtherFirmware
from zstackd_drivers.pty_port import PtyPort
from zstackd_drivers.twin_faults import Action, Fault, Script
from zstackd_drivers.twin_line import Distortion, wrong_speed

_log = logging.getLogger(__name__)
_NS = 1_000_000_000
_IDLE_S = 0.5


class GrblTwin:
    """The twin; a context manager that serves its port from a thread while entered."""

    def __init__(
        self,
        *,
        setup: TwinSetup,
        clock: Clock,
        faults: Sequence[Fault] = (),
        link: Path | None = None,
    ) -> None:
        self._setup = setup
        self._clock = clock
        self._lock = threading.Lock()
        self._script = Script(faults)
        self._line = Distortion()
        self._port = PtyPort(link)
        self._board = GrblFirmware(setup)
        self._firmware = self._board if setup.firmware == "grbl" else OtherFirmware(setup.firmware)
        self._stopping = False
        self._muted = False
        self._thread = threading.Thread(target=self._serve, name="grbl-twin", daemon=True)

    def __enter__(self) -> Self:
        self._board.advance(self._clock.monotonic_ns())
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
            return list(self._board.machine.violations)

    @property
    def motions(self) -> int:
        """How many motions were accepted."""
        with self._lock:
            return self._board.machine.motions

    def true_position_um(self, at_ns: int | None = None) -> float:
        """Return the specimen's true height in micrometres at rig time `at_ns` (now if absent)."""
        with self._lock:
            return self._board.machine.motor.specimen_um(self._time(at_ns))

    def motor_position_um(self, at_ns: int | None = None) -> float:
        """Return the motor's true height in micrometres, before any lost motion."""
        with self._lock:
            return self._board.machine.motor.height_um(self._time(at_ns))

    def last_motion_end_ns(self) -> int | None:
        """Return the rig time at which motion last ended; the present while it moves."""
        now = self._clock.monotonic_ns()
        with self._lock:
            motor = self._board.machine.motor
            return min(now, motor.end_ns) if motor.moved else None

    def script(self, fault: Fault) -> None:
        """Add a fault; `on_motion` counts from now."""
        with self._lock:
            self._script.add(fault.counted_from(self._board.machine.motions))

    def _time(self, at_ns: int | None) -> int:
        return self._clock.monotonic_ns() if at_ns is None else at_ns

    def _serve(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except Exception:  # noqa: BLE001  the edge of the thread
            _log.exception("the simulated controller failed")
            self._port.unplug()

    def _turn(self) -> None:
        present = self._port.client_present
        data = self._heard(self._port.read(self._patience_s()))
        now = self._clock.monotonic_ns()
        with self._lock:
            if self._port.client_present and not present and self._setup.resets_on_open:
                self._firmware.board_reset(now)
            self._work(data, now)
            chunks = self._line.send(self._firmware.take_output())
        for chunk in chunks:
            if not self._muted:
                self._port.write(self._heard(chunk))

    def _heard(self, data: bytes) -> bytes:
        """Return what arrives of `data` at the other end: noise, where the speeds differ."""
        return data if not data or self._in_tune() else wrong_speed(data)

    def _in_tune(self) -> bool:
        return not self._port.client_present or self._port.client_baud() == self._setup.baud

    def _work(self, data: bytes, now: int) -> None:
        if data:
            self._firmware.receive(data, now)
        else:
            self._firmware.advance(now)
        lines, self._board.lines = self._board.lines, []
        self._script.see(motions=self._board.machine.motions, lines=lines, now_ns=now)
        for fault in self._script.take_due(now):
            self._fail(fault, now)

    def _fail(self, fault: Fault, now: int) -> None:
        match fault.action:
            case Action.RESET:
                self._firmware.board_reset(now)
            case Action.ALARM:
                self._board.machine.hard_limit()
            case Action.STALL:
                self._board.machine.stall()
            case Action.UNPLUG:
                self._port.unplug()
            case Action.REPLUG:
                self._port.unplug()
                self._port.plug()
                self._board.board_reset(now)
            case Action.SILENCE:
                self._muted = True
            case _:
                self._line.distort(fault)

    def _patience_s(self) -> float:
        with self._lock:
            times = (self._firmware.next_event_ns(), self._script.next_ns())
        due = min((at for at in times if at is not None), default=None)
        if due is None:
            return _IDLE_S
        left = (due - self._clock.monotonic_ns()) / _NS / self._clock.scale
        return min(max(left, 0.0), _IDLE_S)


def main() -> None:
    """Serve one twin until the end of standard input or a signal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--time-scale", type=float, default=1.0, help="simulated seconds a second")
    parser.add_argument("--backlash-um", type=float, default=8.0, help="lost motion in um")
    parser.add_argument("--link", type=Path, help="symbolic link to keep on the port")
    options = parser.parse_args()
    setup = TwinSetup(travel=(-10.0, 0.0), start=-4.0, backlash_um=options.backlash_um)
    with GrblTwin(setup=setup, clock=ScaledClock(options.time_scale), link=options.link) as twin:
        sys.stdout.write(f"{twin.port}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()


if __name__ == "__main__":
    main()
