"""A pseudo-terminal with one end for a firmware twin; the other is an ordinary serial port."""

import fcntl
import os
import pty
import select
import struct
import tty
from pathlib import Path

from zstackd_drivers.errors import LinkError

_ABSENT_POLL_S = 0.005
# Linux: a struct termios2 knows every speed, not only those with a constant of their own.
_TCGETS2 = 0x802C542A
_TERMIOS2 = struct.Struct("4I 20B 2I")


class PtyPort:
    """The controller's end of a serial line; `name` is what a client opens.

    `link` is a symbolic link kept on the present device, like those in /dev/serial/by-id.
    """

    def __init__(self, link: Path | None = None) -> None:
        self.name = ""
        self.client_present = False
        self._link = link
        self._master = -1
        self._wake_read = -1
        self._wake_write = -1

    def open(self) -> None:
        """Create the pseudo-terminal; raises LinkError where the system has none left."""
        self._wake_read, self._wake_write = os.pipe()
        try:
            self.plug()
        except LinkError:
            self.close()
            raise

    def plug(self) -> None:
        """Appear, under a name of the system's choice."""
        try:
            self._master, slave = pty.openpty()
        except OSError as error:
            raise LinkError(f"no pseudo-terminal for the simulated controller: {error}") from error
        tty.setraw(slave)
        self.name = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        self._point_link()

    def replug(self) -> None:
        """Vanish and appear at once, under another name."""
        old, self._master = self._master, -1
        self.client_present = False
        self.plug()
        if old >= 0:
            os.close(old)

    def unplug(self) -> None:
        """Vanish, as an adapter pulled out of its socket does."""
        if self._master >= 0:
            os.close(self._master)
        self._master = -1
        self.client_present = False

    def close(self) -> None:
        """Release everything; a second call does nothing."""
        self.unplug()
        for end in (self._wake_read, self._wake_write):
            if end >= 0:
                os.close(end)
        self._wake_read = self._wake_write = -1
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def wake(self) -> None:
        """Make a `read` in progress return; safe from any thread while open."""
        os.write(self._wake_write, b"x")

    def client_baud(self) -> int:
        """Return the line speed that the client has set, in bits per second."""
        attributes = fcntl.ioctl(self._master, _TCGETS2, bytes(_TERMIOS2.size))
        return int(_TERMIOS2.unpack(attributes)[-1])

    def read(self, timeout_s: float) -> bytes:
        """Return bytes from the client, or none after `timeout_s`, `wake` or a change of client."""
        awaited = [self._wake_read]
        if self._master >= 0 and self.client_present:
            awaited.append(self._master)
        elif self._master >= 0 and self._notice_client():
            return b""
        elif self._master >= 0:
            timeout_s = min(timeout_s, _ABSENT_POLL_S)
        # Unlike poll, select knows less than a millisecond.
        ready, _, _ = select.select(awaited, [], [], max(0.0, timeout_s))
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
        return self._take() if self._master in ready else b""

    def write(self, data: bytes) -> None:
        """Send to the client; what nobody listens to, or has no room, is lost as on a wire."""
        if self._master < 0 or not self.client_present:
            return
        try:
            os.write(self._master, data)
        except BlockingIOError:
            return

    def _notice_client(self) -> bool:
        poller = select.poll()
        poller.register(self._master, select.POLLIN)
        self.client_present = not any(flags & select.POLLHUP for _, flags in poller.poll(0))
        return self.client_present

    def _take(self) -> bytes:
        try:
            return os.read(self._master, 4096)
        except OSError:
            self.client_present = False
            return b""

    def _point_link(self) -> None:
        if self._link is None:
            return
        fresh = self._link.with_name(self._link.name + ".new")
        fresh.symlink_to(self.name)
        fresh.replace(self._link)
