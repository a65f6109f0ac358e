"""The line itself: replies told from pushes, any bytes borne, losses told once, boards reset."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zstackd_drivers.errors import LinkError
from zstackd_drivers.firmware.pty_port import PtyPort
from zstackd_drivers.serial.link import SerialLink
from zstackd_drivers.serial.port_search import NamedPort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("no_leaks")
PATIENCE_S = 60.0


class Line:
    """A link and the controller's end of its port, which a test plays itself."""

    def __init__(self) -> None:
        self.port = PtyPort()
        self.port.open()
        self.pushes: list[str] = []
        self.losses: list[str] = []
        self.condition = threading.Condition()
        self.link = SerialLink(
            port=NamedPort(self.port.name),
            baud=115200,
            on_push=self.pushes.append,
            on_lost=self.losses.append,
            condition=self.condition,
        )

    def ask(
        self,
        line: str,
        timeout_s: float = PATIENCE_S,
        *,
        alive_until: Callable[[], float] = lambda: 0.0,
        unless: Callable[[], bool] = lambda: False,
    ) -> str | None:
        return self.link.request(
            line,
            reply=lambda heard: heard.startswith("ok"),
            timeout_s=timeout_s,
            alive_until=alive_until,
            unless=unless,
        )

    def hear(self, until: bytes = b"\n") -> bytes:
        heard = b""
        end = time.monotonic() + PATIENCE_S
        while not heard.endswith(until):
            assert time.monotonic() < end, heard
            heard += self.port.read(0.1)
        return heard

    def await_push(self, count: int) -> None:
        with self.condition:
            assert self.condition.wait_for(lambda: len(self.pushes) >= count, PATIENCE_S)

    @contextmanager
    def answering(self, *chunks: bytes) -> Iterator[None]:
        def answer() -> None:
            self.hear()
            for chunk in chunks:
                self.port.write(chunk)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            thread.join(PATIENCE_S)


@contextmanager
def opened() -> Iterator[Line]:
    line = Line()
    try:
        line.link.open()
        line.port.read(0.0)
        yield line
    finally:
        line.link.close()
        line.port.close()


def test_pushes_around_a_reply_are_not_the_reply() -> None:
    with opened() as line:
        with line.answering(b"<Idle>\r\n[MSG:x]\r\nok-1\r\n<Idle>\r\n"):
            assert line.ask("x") == "ok-1"
        line.await_push(3)
        assert line.pushes == ["<Idle>", "[MSG:x]", "<Idle>"]


def test_a_reply_that_nobody_waits_for_is_never_taken_for_one() -> None:
    with opened() as line:
        line.port.write(b"ok-stray\n")
        line.await_push(1)
        with line.answering(b"ok-1\nok-1\n"):
            assert line.ask("x") == "ok-1"
        with line.answering(b"ok-2\n"):
            assert line.ask("y") == "ok-2"


def test_lines_in_pieces_and_lines_at_once() -> None:
    with opened() as line:
        with line.answering(b"o", b"k-", b"1\n"):
            assert line.ask("x") == "ok-1"
        with line.answering(b"a\nb\r\rc\nok-2\n"):
            assert line.ask("x") == "ok-2"
        assert line.pushes == ["a", "b", "c"]


def test_no_reply_ends_in_time_and_says_so() -> None:
    with opened() as line, pytest.raises(LinkError, match=r"no reply to 'x' .* within 0\.05 s"):
        line.ask("x", 0.05)


def test_signs_of_life_lengthen_the_wait() -> None:
    with opened() as line:
        began = time.monotonic()
        alive = began + 0.3
        with pytest.raises(LinkError):
            line.ask("x", 0.01, alive_until=lambda: alive)
        assert time.monotonic() >= alive


def test_a_wait_is_given_up_when_asked_to() -> None:
    with opened() as line:
        given_up = threading.Event()

        def give_up() -> None:
            line.hear()
            given_up.set()
            with line.condition:
                line.condition.notify_all()

        thread = threading.Thread(target=give_up)
        thread.start()
        assert line.ask("x", unless=given_up.is_set) is None
        thread.join(PATIENCE_S)


def test_a_lost_line_is_told_once_and_ends_every_wait() -> None:
    with opened() as line:

        def pull_out() -> None:
            line.hear()
            line.port.unplug()

        thread = threading.Thread(target=pull_out)
        thread.start()
        with pytest.raises(LinkError, match="is it unplugged"):
            line.ask("x")
        thread.join(PATIENCE_S)
        with pytest.raises(LinkError):
            line.ask("x")
        assert len(line.losses) == 1
        assert line.link.is_open
        assert line.link.lost


def test_a_closed_line_cannot_be_written() -> None:
    line = Line()
    line.port.close()
    with pytest.raises(LinkError, match="is not open"):
        line.link.write(b"x")
    with pytest.raises(LinkError, match="is not open"):
        line.link.reboot()
    line.link.close()


def test_a_reboot_hangs_up_and_calls_again() -> None:
    with opened() as line:
        line.link.write(b"1\n")
        assert line.hear() == b"1\n"
        calls: list[bool] = []
        done = threading.Event()

        def watch() -> None:
            while not done.is_set():
                line.port.read(0.01)
                calls.append(line.port.client_present)

        thread = threading.Thread(target=watch)
        thread.start()
        line.link.reboot()
        done.set()
        thread.join(PATIENCE_S)
        assert False in calls
        line.link.write(b"2\n")
        assert not line.losses
        assert line.link.lost is None


@settings(max_examples=30, deadline=None)
@given(junk=st.binary(max_size=2000))
def test_any_bytes_leave_the_link_working(junk: bytes) -> None:
    chunks = [junk[start : start + 7] for start in range(0, len(junk), 7)]
    with opened() as line:
        with line.answering(*chunks, b"\nok-17\n"):
            reply = line.ask("x")
        while reply != "ok-17":
            with line.answering(b"ok-17\n"):
                reply = line.ask("x")
        assert all(len(push) <= 512 for push in line.pushes)
