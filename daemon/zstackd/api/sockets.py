"""The sockets that the API listens on: one for the group of the service, one for the network."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from zstackd_config.errors import InputError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zstackd_config.api import Api, Tcp
    from zstackd_config.rig import Rig

NAME: Final = "control.sock"
DEFAULT_SOCKET: Final = Path("/run/zstackd") / NAME
MODE: Final = 0o660
_BACKLOG: Final = 64
_MOST_BYTES: Final = 107
"""Longest path that Linux takes for a socket, without the closing zero."""


def socket_path(api: Api, state: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the control socket is: as configured, else at systemd's or the spool's place."""
    if api.socket is not None:
        return api.socket
    runtime = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return (Path(runtime) if runtime else state.absolute()) / NAME


def socket_of(rig: Rig) -> Path:
    """Return where the service of this rig listens, as far as another process can tell."""
    path = socket_path(rig.api, rig.paths.state, {})
    if not path.exists() and DEFAULT_SOCKET.exists():
        return DEFAULT_SOCKET  # systemd gave the service its runtime directory
    return path


def listen_unix(path: Path) -> socket.socket:
    """Return a socket that listens at `path` for the owner and the group, and nobody else.

    Raises:
        InputError: the path is too long, or something else is there.
        StorageError: the folder does not take it.
    """
    if len(os.fsencode(path)) > _MOST_BYTES:
        raise InputError(
            f"{path}: too long for a socket ({len(os.fsencode(path))} bytes, at most "
            f"{_MOST_BYTES}); set api.socket in the rig file to a shorter path"
        )
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Before bind, so that there is no moment at which others could connect.
        os.fchmod(listener.fileno(), MODE)
        listener.bind(str(path))
        path.chmod(MODE)  # the umask may have taken bits away
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise StorageError(f"{path}: no socket can be made here: {error.strerror}") from error
    return listener


def listen_tcp(tcp: Tcp) -> socket.socket:
    """Return a socket that listens on TCP; raises InputError where the address is not ours."""
    try:
        family = socket.getaddrinfo(tcp.host, tcp.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((tcp.host, tcp.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InputError(
            f"api.tcp: cannot listen on {tcp.host} port {tcp.port}: {error.strerror}; choose an "
            "address of this machine and a free port"
        ) from error
    return listener


def remove(path: Path) -> None:
    """Take the socket's name away; harmless where somebody did already."""
    path.unlink(missing_ok=True)


def _clear(path: Path) -> None:
    """Remove what a crash left; raises InputError where it is in use, or no socket at all."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise InputError(f"{path}: is no socket; remove it, or set api.socket in the rig file")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        if probe.connect_ex(str(path)) not in {errno.ECONNREFUSED, errno.ENOENT}:
            raise InputError(
                f"{path}: another service answers there; stop it, or set api.socket in the rig file"
            )
    remove(path)
