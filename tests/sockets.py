"""Sockets of services that start."""

import socket
from pathlib import Path


def answers(path: Path) -> bool:
    """Return whether somebody listens at a socket: it has its name a moment before."""
    with socket.socket(socket.AF_UNIX) as attempt:
        return attempt.connect_ex(str(path)) == 0
