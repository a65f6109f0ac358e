"""One serial line: exclusive, read by a thread that tells replies from pushes."""

import errno
import fcntl
import grp
import logging
import termios
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import serial

from zstackd_drivers.errors import LinkError

_log = logging.getLogger(__name__)
_LONGEST_LINE = 512
_WRITE_TIMEOUT_S = 1.0


def _never() -> bool:
    return False


class SerialLink:
    """Lines to and from a controller.

    `condition` guards and announces every change; `on_push` (each line that is no reply) and
    `on_lost` (why the line broke) are called by the reader thread with it held.
    """

    def __init__(
        self,
        *,
        port: str,
        baud: int,
        is_reply: Callable[[str], bool],
        on_push: Callable[[str], None],
        on_lost: Callable[[str], None],
        condition: threading.Condition,
    ) -> None:
        self._port = port
        self._baud = baud
        self._is_reply = is_reply
        self._on_push = on_push
        self._on_lost = on_lost
        self._condition = condition
        self._turn = threading.Lock()
        self._writing = threading.Lock()
        self._replies: deque[str] = deque(maxlen=64)
        self._serial: serial.Serial | None = None
        self._reader: threading.Thread | None = None
        self._closing = False
        self._lost: str | None = None

    def open(self) -> None:
        """Open the port for this process alone; raises LinkError where that cannot be."""
        self._lost, self._closing = None, False
        self._serial = _open_exclusively(self._port, self._baud)
        self._reader = threading.Thread(
            target=self._read, args=(self._serial,), name=f"serial {self._port}", daemon=True
        )
        self._reader.start()

    def close(self) -> None:
        """Join the reader and release the port; a second call does nothing."""
        if self._serial is None or self._reader is None:
            return
        self._closing = True
        self._serial.cancel_read()
        self._reader.join()
        _release(self._serial)
        self._serial = self._reader = None

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
                raise LinkError(f"serial port {self._port} is not open")
            try:
                self._serial.write(data)
            except (OSError, termios.error) as error:
                message = f"serial port {self._port} cannot be written ({error}): is it unplugged?"
                with self._condition:
                    self._break(message)
                raise LinkError(message) from error

    def request(
        self, line: str, timeout_s: float, unless: Callable[[], bool] = _never
    ) -> str | None:
        """Send one line and return its reply; None where `unless()` came true first.

        Raises LinkError where the line breaks or no reply comes within `timeout_s`.
        """
        with self._turn:
            self._forget_strays()
            self.write(line.encode("ascii") + b"\n")
            with self._condition:
                self._condition.wait_for(
                    lambda: self._replies or self._lost or unless(), timeout=timeout_s
                )
                return self._outcome(line, timeout_s, abandoned=unless())

    def forget_replies(self) -> None:
        """Drop replies that nobody waits for."""
        with self._condition:
            self._replies.clear()

    def _outcome(self, line: str, timeout_s: float, *, abandoned: bool) -> str | None:
        if self._lost is not None:
            raise LinkError(self._lost)
        if abandoned:
            return None
        if self._replies:
            return self._replies.popleft()
        raise LinkError(
            f"no reply to {line!r} on serial port {self._port} within {timeout_s:g} s: "
            "check cable, power and baud"
        )

    def _forget_strays(self) -> None:
        with self._condition:
            if self._replies:
                _log.warning("%s: %d replies to nothing", self._port, len(self._replies))
        self.forget_replies()

    def _read(self, port: serial.Serial) -> None:
        pending = b""
        while not self._closing:
            try:
                pending += port.read(max(1, port.in_waiting))
            except (OSError, termios.error) as error:
                with self._condition:
                    self._break(f"serial port {self._port} is gone ({error}): is it unplugged?")
                return
            *lines, pending = pending.replace(b"\r", b"\n").split(b"\n")
            self._deliver(lines)
            pending = pending[-_LONGEST_LINE:]

    def _deliver(self, lines: list[bytes]) -> None:
        with self._condition:
            for raw in lines:
                line = raw.decode("ascii", errors="replace").strip()
                if not line:
                    continue
                if self._is_reply(line):
                    self._replies.append(line)
                else:
                    self._on_push(line)
            self._condition.notify_all()

    def _break(self, message: str) -> None:
        if self._lost is None and not self._closing:
            self._lost = message
            self._on_lost(message)
        self._condition.notify_all()


def _open_exclusively(port: str, baud: int) -> serial.Serial:
    try:
        opened = serial.Serial(port, baud, exclusive=True, write_timeout=_WRITE_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise LinkError(why_not(port, baud, error)) from error
    try:
        fcntl.ioctl(opened.fileno(), termios.TIOCEXCL)
        # Without HUPCL, closing leaves DTR alone and the board does not reboot next time.
        attributes = termios.tcgetattr(opened.fileno())
        attributes[2] &= ~termios.HUPCL
        termios.tcsetattr(opened.fileno(), termios.TCSANOW, attributes)
    except (OSError, termios.error) as error:
        opened.close()
        raise LinkError(f"serial port {port} cannot be taken ({error})") from error
    return opened


def _release(port: serial.Serial) -> None:
    try:
        fcntl.ioctl(port.fileno(), termios.TIOCNXCL)
    except OSError as error:
        _log.debug("%s: TIOCNXCL on closing: %s", port.port, error)
    port.close()


def why_not(port: str, baud: int, error: Exception) -> str:
    """Return one line on why a port could not be opened, and what to do."""
    code = getattr(error, "errno", None)
    if code == errno.ENOENT:
        return (
            f"serial port {port} does not exist: plug the controller in, or correct focus.port "
            "(stable names are in /dev/serial/by-id)"
        )
    if code in {errno.EACCES, errno.EPERM}:
        return (
            f"no permission for serial port {port}: it belongs to group {_group(port)}; "
            f"add the user to it (sudo usermod -aG {_group(port)} USER) and log in again"
        )
    if code in {errno.EBUSY, errno.EAGAIN}:
        return (
            f"serial port {port} is in use by another program: stop it "
            "(another zstackd, a G-code sender?) and try again"
        )
    if isinstance(error, ValueError):
        return f"serial port {port} does not offer {baud} baud: correct focus.baud"
    return f"{port} cannot be opened as a serial port ({error}): correct focus.port"


def _group(port: str) -> str:
    try:
        return grp.getgrgid(Path(port).stat().st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"
