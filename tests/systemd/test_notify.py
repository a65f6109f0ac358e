"""What the service says to systemd, heard on a real notify socket."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from zstackd.system.notify import Notifier, Watchdog, watchdog_interval_s

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


PATIENCE_S = 60.0


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """A stand-in for systemd's side of the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(PATIENCE_S)
        yield listener


def heard(systemd: socket.socket) -> list[str]:
    return systemd.recv(4096).decode().split("\n")


def test_ready_comes_with_words_for_the_operator(systemd: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": systemd.getsockname(), "HOME": "/"}
    Notifier.from_environment(environment).ready("waiting for runs")
    assert heard(systemd) == ["READY=1", "STATUS=waiting for runs"]
    assert environment == {"HOME": "/"}, "a hook must not inherit the socket"


def test_a_reload_is_dated_by_the_monotonic_clock(systemd: socket.socket) -> None:
    before_us = time.monotonic_ns() // 1000
    Notifier(systemd.getsockname()).reloading()
    state, stamp = heard(systemd)
    assert state == "RELOADING=1"
    assert before_us <= int(stamp.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_the_same_status_is_said_once_and_in_one_line(systemd: socket.socket) -> None:
    notifier = Notifier(systemd.getsockname())
    notifier.status("plane 1\nREADY=0")
    notifier.status("plane 1 READY=0")
    notifier.status("x" * 1000)
    assert heard(systemd) == ["STATUS=plane 1 READY=0"]
    assert heard(systemd) == ["STATUS=" + "x" * 200]


def test_an_abstract_socket_is_understood() -> None:
    name = f"@zstackd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:])
        listener.settimeout(PATIENCE_S)
        Notifier(name).stopping("stopped by SIGTERM")
        assert heard(listener) == ["STOPPING=1", "STATUS=stopped by SIGTERM"]


def test_outside_systemd_nothing_is_sent() -> None:
    Notifier.from_environment({}).ready("nobody listens")
    assert watchdog_interval_s({}) is None


def test_a_vanished_socket_harms_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier(str(tmp_path / "gone")).alive()
    assert "systemd could not be told 'WATCHDOG=1'" in caplog.text


@pytest.mark.parametrize(
    ("period", "process_id", "interval_s"),
    [
        ("30000000", "", 30.0),
        ("1500000", "its own", 1.5),
        ("1500000", "1", None),
        ("0", "", None),
        ("soon", "", None),
        ("²", "", None),
    ],
)
def test_watchdog_interval(period: str, process_id: str, interval_s: float | None) -> None:
    own = str(os.getpid()) if process_id == "its own" else process_id
    environment = {"WATCHDOG_USEC": period, "WATCHDOG_PID": own}
    assert watchdog_interval_s(environment) == interval_s
    assert environment == {}


def assert_silent(systemd: socket.socket) -> None:
    systemd.setblocking(False)
    with pytest.raises(BlockingIOError):
        heard(systemd)
    systemd.settimeout(PATIENCE_S)


def forget(systemd: socket.socket) -> None:
    """Take all that was said so far."""
    systemd.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            heard(systemd)
    systemd.settimeout(PATIENCE_S)


def wait_for_looks(looked: threading.Semaphore, count: int) -> None:
    while looked.acquire(blocking=False):
        pass
    assert all(looked.acquire(timeout=PATIENCE_S) for _ in range(count))


def test_the_watchdog_is_fed_until_a_thread_is_late(
    systemd: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    late_s: dict[str, float] = {}
    looked = threading.Semaphore(0)

    def look() -> dict[str, float]:
        looked.release()
        return dict(late_s)

    with Watchdog(Notifier(systemd.getsockname()), look, interval_s=0.03):
        assert [heard(systemd) for _ in range(3)] == [["WATCHDOG=1"]] * 3
        late_s["capture"] = 12.3
        wait_for_looks(looked, count=2)  # the second one begins after all that the first led to
        forget(systemd)
        wait_for_looks(looked, count=5)
        assert_silent(systemd)
        late_s.clear()
        assert heard(systemd) == ["WATCHDOG=1"]
    assert "capture: no progress, 12.3 s late" in caplog.text
    assert caplog.text.count("no progress") == 1
    assert "capture: progress again" in caplog.text


def test_without_a_watchdog_no_thread_is_started() -> None:
    before = set(threading.enumerate())
    with Watchdog(Notifier(None), dict, interval_s=None):
        assert set(threading.enumerate()) <= before
