"""Serial ports taken for one process alone, or one line on why that cannot be."""

import errno
import fcntl
import grp
import logging
import os
import termios
from pathlib import Path

import serial

from zstackd_drivers.errors import LinkError

_log = logging.getLogger(__name__)
_WRITE_TIMEOUT_S = 1.0
_CFLAG = 2


def open_exclusively(port: str, baud: int) -> serial.Serial:
    """Return the open port, 8N1; raises LinkError where it cannot be had for this process alone."""
    try:
        opened = serial.Serial(port, baud, exclusive=True, write_timeout=_WRITE_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise LinkError(_why_not(port, baud, error)) from error
    try:
        fcntl.ioctl(opened.fileno(), termios.TIOCEXCL)
        # Without HUPCL, closing leaves DTR alone and the board does not reboot next time.
        _set_hang_up(opened, wanted=False)
    except (OSError, termios.error) as error:
        opened.close()
        raise LinkError(f"serial port {port} cannot be taken ({error})") from error
    return opened


def hang_up_on_close(port: serial.Serial) -> None:
    """Let the next closing drop DTR, so that opening again resets the board."""
    try:
        _set_hang_up(port, wanted=True)
    except (OSError, termios.error) as error:
        _log.debug("%s: HUPCL: %s", port.port, error)


def release(port: serial.Serial) -> None:
    """Give the port back."""
    try:
        fcntl.ioctl(port.fileno(), termios.TIOCNXCL)
    except OSError as error:
        _log.debug("%s: TIOCNXCL on closing: %s", port.port, error)
    port.close()


def _set_hang_up(port: serial.Serial, *, wanted: bool) -> None:
    attributes = termios.tcgetattr(port.fileno())
    attributes[_CFLAG] &= ~termios.HUPCL
    if wanted:
        attributes[_CFLAG] |= termios.HUPCL
    termios.tcsetattr(port.fileno(), termios.TCSANOW, attributes)


def _why_not(port: str, baud: int, error: Exception) -> str:
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
    if code is None and "Inappropriate ioctl" in str(error):  # pyserial keeps no number of it
        return f"{port} is no serial port: correct focus.port (ls -l /dev/serial/by-id lists them)"
    why = os.strerror(code) if code else str(error)
    return f"{port} cannot be opened as a serial port ({why}): correct focus.port"


def _group(port: str) -> str:
    try:
        return grp.getgrgid(Path(port).stat().st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"
