"""Where the API listens, and who may come in."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest
from tests.api.conftest import running

from zstackd.api.sockets import listen_tcp, listen_unix, socket_path
from zstackd_config.api import Api, Tcp
from zstackd_config.errors import InputError, StorageError


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077])
def test_the_socket_is_for_owner_and_group_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "control.sock"
    before = os.umask(umask)
    try:
        with closing(listen_unix(path)):
            assert stat.filemode(path.stat().st_mode) == "srw-rw----"
    finally:
        os.umask(before)


def test_the_service_s_socket_has_that_mode_and_goes_with_it(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        assert stat.S_IMODE(service.socket.stat().st_mode) == 0o660
    assert not service.socket.exists()


def test_a_socket_that_a_crash_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    listen_unix(path).close()
    assert path.exists()
    with closing(listen_unix(path)), closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(path))


def test_another_service_s_socket_is_not_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with closing(listen_unix(path)):
        with pytest.raises(InputError, match="another service answers there"):
            listen_unix(path)
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.connect(str(path))


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("mine")
    with pytest.raises(InputError, match="is no socket"):
        listen_unix(path)
    assert path.read_text() == "mine"
    path.unlink()
    path.symlink_to("elsewhere")
    with pytest.raises(InputError, match="is no socket"):
        listen_unix(path)


def test_a_path_that_cannot_be_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too long for a socket"):
        listen_unix(tmp_path / ("x" * 120))
    with pytest.raises(StorageError, match="no socket can be made here: No such file"):
        listen_unix(tmp_path / "missing" / "control.sock")


def test_the_place_is_the_configured_one_or_systemd_s_or_the_spool_s(tmp_path: Path) -> None:
    systemd = {"RUNTIME_DIRECTORY": "/run/zstackd:/run/more"}
    assert socket_path(Api(socket=Path("/x/y.sock")), tmp_path, systemd) == Path("/x/y.sock")
    assert socket_path(Api(), tmp_path, systemd) == Path("/run/zstackd/control.sock")
    assert socket_path(Api(), tmp_path, {}) == tmp_path / "control.sock"


def test_a_port_in_use_is_said_in_one_line() -> None:
    with closing(listen_tcp(Tcp(port=0, token_file=Path("x")))) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InputError, match=rf"cannot listen on 127\.0\.0\.1 port {port}"):
            listen_tcp(Tcp(port=port, token_file=Path("x")))
    with pytest.raises(InputError, match=r"cannot listen on 192\.0\.2\.1"):
        listen_tcp(Tcp(host="192.0.2.1", port=0, token_file=Path("x")))
