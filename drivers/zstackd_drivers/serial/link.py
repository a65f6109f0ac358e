"""One serial line: exclusive, read by a thread that tells replies from pushes."""

import logging
import termios
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import serial

from zstackd_drivers.errors import LinkError
from zstackd_drivers.serial.opening import hang_up_on_close, open_exclusively, release

_log = logging.getLogger(__name__)
_LONGEST_LINE = 512
_HUNG_UP_S = 0.03


class Port(Protocol):
    """Where the controller is: looked up anew each time the line is opened."""

    def find(self) -> str:
        """Return the device path; raises LinkError where there is none, or more than one."""
        ...


class SerialLink:
    """Lines to and from a controller.

    `condition` guards and announces every change; `on_push` (each line that no request waits for)
    and `on_lost` (why the line broke) are called by the reader thread with it held.
    """

    def __init__(
        self,
        *,
        port: Port,
        baud: int,
        on_push: Callable[[str], None],
        on_lost: Callable[[str], None],
        condition: threading.Condition,
    ) -> None:
        self.name = ""
        self._port = port
        self._baud = baud
        self._on_push = on_push
        self._on_lost = on_lost
        self._condition = condition
        self._turn = threading.Lock()
        self._writing = threading.Lock()
        self._opening = threading.RLock()
        self._replies: deque[str] = deque(maxlen=64)
        self._awaited: Callable[[str], bool] | None = None
        self._serial: serial.Serial | None = None
        self._reader: threading.Thread | None = None
        self._closing = False
        self._lost: str | None = None

    def open(self) -> None:
        """Open the port for this process alone; raises LinkError where that cannot be."""
        with self._opening:
            self._lost, self._closing = None, False
            self.name = self._port.find()
            self._start(open_exclusively(self.name, self._baud))

    def close(self) -> None:
        """Join the reader and release the port; a second call does nothing."""
        with self._opening:
            opened, reader = self._serial, self._reader
            if opened is None or reader is None:
                return
            self._closing = True
            opened.cancel_read()
            reader.join()
            with self._writing:
                release(opened)
                self._serial = self._reader = None

    def reboot(self) -> None:
        """Hang up and open again, which resets most boards; raises LinkError where it fails.

        A board that is reset by its DTR line starts anew; one that is not goes on as it was.
        """
        with self._opening:
            if self._serial is None:
                raise LinkError(f"serial port {self.name} is not open")
            hang_up_on_close(self._serial)
            self.close()
            time.sleep(_HUNG_UP_S)
            self.open()

    @property
    def is_open(self) -> bool:
        """Whether the port is held, though the line may be lost."""
        return self._serial is not None

    @property
    def lost(self) -> str | None:
        """Why the line broke; None while it holds."""
        return self._lost

    def write(self, data: bytes) -> None:
        """Send bytes as they are; raises LinkError where the line is gone."""
        with self._writing:
            if self._serial is None:
                raise LinkError(f"serial port {self.name} is not open")
            try:
                self._serial.write(data)
            except (OSError, termios.error) as error:
                message = f"serial port {self.name} cannot be written ({error}): is it unplugged?"
                with self._condition:
                    self._break(message)
                raise LinkError(message) from error

    def request(
        self,
        line: str,
        *,
        reply: Callable[[str], bool],
        timeout_s: float,
        alive_until: Callable[[], float],
        unless: Callable[[], bool],
    ) -> str | None:
        """Send one line and return the next line that is a `reply`; None where `unless()` is true.

        Raises LinkError where the line breaks, or no reply comes within `timeout_s` nor by
        `alive_until()`, a time of `time.monotonic`.
        """
        with self._turn:
            self._expect(reply)
            try:
                self.write(line.encode("ascii") + b"\n")
                with self._condition:
                    self._await_reply(time.monotonic() + timeout_s, alive_until, unless)
                    return self._outcome(line, timeout_s, abandoned=unless())
            finally:
                self._expect(None)

    def _expect(self, reply: Callable[[str], bool] | None) -> None:
        with self._condition:
            if self._replies:
                _log.warning("%s: %d replies too many", self.name, len(self._replies))
            self._replies.clear()
            self._awaited = reply

    def _await_reply(
        self, end: float, alive_until: Callable[[], float], unless: Callable[[], bool]
    ) -> None:
        while not (self._replies or self._lost or unless()):
            left = max(end, alive_until()) - time.monotonic()
            if left <= 0:
                return
            self._condition.wait(left)

    def _outcome(self, line: str, timeout_s: float, *, abandoned: bool) -> str | None:
        if self._lost is not None:
            raise LinkError(self._lost)
        if abandoned:
            self._replies.clear()
            return None
        if self._replies:
            return self._replies.popleft()
        raise LinkError(
            f"no reply to {line!r} on serial port {self.name} within {timeout_s:g} s: "
            "check cable, power and baud"
        )

    def _start(self, opened: serial.Serial) -> None:
        self._serial = opened
        self._reader = threading.Thread(
            target=self._read, args=(opened,), name=f"serial {self.name}", daemon=True
        )
        self._reader.start()

    def _read(self, port: serial.Serial) -> None:
        pending = b""
        while not self._closing:
            try:
                pending += port.read(max(1, port.in_waiting))
            except (OSError, termios.error) as error:
                with self._condition:
                    self._break(f"serial port {self.name} is gone ({error}): is it unplugged?")
                return
            *lines, pending = pending.replace(b"\r", b"\n").split(b"\n")
            self._deliver(lines)
            pending = pending[-_LONGEST_LINE:]

    def _deliver(self, lines: list[bytes]) -> None:
        with self._condition:
            for raw in lines:
                line = raw.decode("ascii", errors="replace").strip()
                if line and self._awaited is not None and self._awaited(line):
                    self._replies.append(line)
                elif line:
                    self._on_push(line)
            self._condition.notify_all()

    def _break(self, message: str) -> None:
        if self._lost is None and not self._closing:
            self._lost = message
            self._on_lost(message)
        self._condition.notify_all()
