"""Clients that lie about length, hang up, dawdle or flood: the service goes on for the others."""

from __future__ import annotations

import os
import select
import socket
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.conftest import FEW, PATIENCE_S, QUICK, RUN, until

if TYPE_CHECKING:
    from tests.api.conftest import Running

pytestmark = pytest.mark.alone
SOON_S = 8.0
"""Much longer than the bounds of an impatient service, and less than those of others."""


def connected(service: Running) -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(PATIENCE_S)
    link.connect(str(service.socket))
    return link


def answer(link: socket.socket) -> bytes:
    """Return everything until the service hangs up."""
    received = b""
    try:
        while chunk := link.recv(65536):
            received += chunk
    except ConnectionResetError:
        return received
    return received


def said(service: Running, request: bytes) -> bytes:
    with closing(connected(service)) as link:
        link.sendall(request)
        return answer(link)


def post(length: int | str, body: bytes) -> bytes:
    head = f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + body


def is_well(service: Running) -> bool:
    """Return whether the service answers, where it has the patience for a busy machine."""
    until(lambda: _try(service), "an answer")
    return True


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_body_shorter_than_announced_is_waited_for_only_so_long(impatient: Running) -> None:
    begun = time.monotonic()
    received = said(impatient, post(1000, b"name: x"))
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 0.3 s" in received
    assert time.monotonic() - begun < SOON_S
    assert impatient.requests() == set()
    assert is_well(impatient)


def test_a_body_longer_than_announced_is_no_second_request(small: Running) -> None:
    received = said(small, post(7, b"name: xPOST /v1/pause HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert received.startswith(b"HTTP/1.1 422 ")
    link_is_closed = said(small, post(7, b"name: x and more of it\r\n\r\n"))
    assert b"HTTP/1.1 400 " in link_is_closed
    assert is_well(small)


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "1, 2", "٣", ""])
def test_a_length_that_is_none_is_refused(small: Running, length: str) -> None:
    assert said(small, post(length, b"name: x")).startswith(b"HTTP/1.1 400 ")
    assert is_well(small)


def test_two_lengths_are_refused(small: Running) -> None:
    head = b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 7\r\n\r\n"
    assert said(small, head + b"name: x").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("length", [(1 << 20) + 1, 10**15, 10**400])
def test_too_much_is_refused_before_it_is_read(small: Running, length: int) -> None:
    received = said(small, post(length, b""))
    assert received[:13] in {b"HTTP/1.1 413 ", b"HTTP/1.1 400 "}


def test_too_much_without_a_length_is_refused_while_it_comes(small: Running) -> None:
    with closing(connected(small)) as link:
        link.sendall(b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"#" * 0x10000 + b"\r\n"
        with pytest.raises(ConnectionError):
            link.sendall(chunk * 1000)  # 65 MB
    assert is_well(small)


@pytest.mark.parametrize(
    "begun", [b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"POST /v1/runs HTTP/1.1\r\n"]
)
def test_a_head_that_never_ends_is_hung_up_on(impatient: Running, begun: bytes) -> None:
    began = time.monotonic()
    assert said(impatient, begun) == b""
    assert QUICK.head_s * 0.9 < time.monotonic() - began < SOON_S


def test_dripping_gives_no_more_time(impatient: Running) -> None:
    began = time.monotonic()
    with closing(connected(impatient)) as link:
        try:
            while time.monotonic() - began < SOON_S:
                link.sendall(b"x")
                time.sleep(0.02)
        except (BrokenPipeError, ConnectionResetError):
            return
    pytest.fail("the service listens to a drip for ever")


def test_a_head_that_is_too_large_is_refused(small: Running) -> None:
    received = said(small, b"GET /" + b"x" * 100_000)
    assert received == b"" or received.startswith(b"HTTP/1.1 400 ")
    assert is_well(small)


@given(st.binary(min_size=1, max_size=300))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_is_answered_with_400_or_silence(small: Running, noise: bytes) -> None:
    with closing(connected(small)) as link:
        link.sendall(noise + b"\r\n\r\n")
        link.shutdown(socket.SHUT_WR)
        received = answer(link)
    assert received == b"" or received[:10] == b"HTTP/1.1 4"


def test_hanging_up_at_any_moment_leaves_nothing_open(small: Running) -> None:
    body = str(RUN).encode()
    request = post(len(body), body)
    before = open_files()
    for cut in range(0, len(request), 7):
        with closing(connected(small)) as link:
            link.sendall(request[:cut])
    for _ in range(20):
        # It may not have noticed yet that the others are gone, and takes no more than so many.
        with closing(connected(small)) as link, suppress(ConnectionError):
            link.sendall(b"GET /v1/events?after=0 HTTP/1.1\r\nHost: x\r\n\r\n")
            link.recv(10)
    until(lambda: open_files() <= before, "all files to be closed")
    assert is_well(small)


def test_a_flood_of_connections_is_bounded_and_passes(small: Running) -> None:
    before = open_files()
    with ExitStack() as stack:
        links = [stack.enter_context(closing(connected(small))) for _ in range(60)]
        for link in links:
            link.setblocking(False)
        until(
            lambda: open_files() <= before + len(links) + FEW.connections,
            "more connections than allowed",
        )
    assert is_well(small)


def test_a_flood_of_listeners_leaves_room_for_others(small: Running) -> None:
    with ExitStack() as stack:
        answers = []
        for _ in range(FEW.at_once - 2):
            link = stack.enter_context(closing(connected(small)))
            link.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            answers.append(link.recv(12))
        assert set(answers) == {b"HTTP/1.1 200"}
        assert is_well(small)


def test_more_listeners_than_allowed_are_told_so(service: Running) -> None:
    with ExitStack() as stack:
        statuses = []
        for _ in range(18):
            link = stack.enter_context(closing(connected(service)))
            link.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            statuses.append(link.recv(12))
        assert statuses == [b"HTTP/1.1 200"] * 16 + [b"HTTP/1.1 429"] * 2
        assert is_well(service)


def test_an_answer_that_nobody_reads_is_given_up(impatient: Running) -> None:
    accepted = impatient.control.submit(str(RUN).encode(), source="a test").run
    assert accepted is not None
    run_id = accepted.run_id
    impatient.wait(run_id, "published")
    preview = impatient.control.preview(run_id)
    assert preview is not None
    preview.write_bytes(os.urandom(8 << 20))  # more than any socket buffers
    hung_up = select.poll()
    with closing(connected(impatient)) as link:
        hung_up.register(link, select.POLLRDHUP)
        link.sendall(f"GET /v1/runs/{run_id}/preview HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert hung_up.poll(PATIENCE_S * 1000), "the unread answer is kept"
        received = answer(link)
    assert len(received) < 8 << 20
    assert is_well(impatient)


def _try(service: Running) -> bool:
    try:
        with service.client() as client:
            return bool(client.get("/healthz").json()["status"] == "ok")
    except Exception:  # noqa: BLE001 - refused for now; asked again
        return False
