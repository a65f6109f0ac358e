"""On TCP: no token → 401 and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.api.conftest import PATIENCE_S, TOKEN

from zstackd.api.token import LEAST_CHARACTERS, read_token
from zstackd_config.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.conftest import Running

REFUSAL = {
    "title": "Unauthorized",
    "status": 401,
    "detail": "a bearer token is needed",
    "exit_status": 2,
}
HEADERS = {"content-length", "content-type", "www-authenticate", "connection"}


def everything(service: Running) -> list[tuple[str, str]]:
    """Return every operation of the API, and some that it does not have."""
    known = [
        (method.upper(), re.sub(r"\{\w+\}", "x", path))
        for path, operations in service.app.openapi()["paths"].items()
        for method in operations
    ]
    return [*known, ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/nothing"), ("PUT", "/")]


def test_without_the_token_every_path_gives_the_same_401(service: Running) -> None:
    operations = everything(service)
    assert len(operations) > 25
    with httpx.Client(base_url=service.tcp, timeout=PATIENCE_S) as client:
        for method, path in operations:
            response = client.request(method, path, content=b"name: x")
            assert (response.status_code, response.json()) == (401, REFUSAL), path
            assert set(response.headers) == HEADERS, path


@pytest.mark.parametrize(
    "shown",
    [
        "",
        TOKEN,
        "Bearer",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN} {TOKEN}",
    ],
)
def test_a_wrong_token_is_none(service: Running, shown: str) -> None:
    response = httpx.get(
        f"{service.tcp}/healthz", headers={"Authorization": shown}, timeout=PATIENCE_S
    )
    assert (response.status_code, response.json()) == (401, REFUSAL)


SHOWABLE = st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_categories=["Cc", "Zs"])


@pytest.fixture(scope="module")
def network(service: Running) -> Iterator[httpx.Client]:
    """A client on TCP without a token; each one takes a while to be made."""
    with httpx.Client(base_url=service.tcp, timeout=PATIENCE_S) as client:
        yield client


@given(st.text(SHOWABLE, min_size=1))
def test_no_words_but_the_token_open(network: httpx.Client, shown: str) -> None:
    assume(shown != TOKEN)
    words = b"Bearer " + shown.encode("latin-1")
    assert network.get("/healthz", headers=[(b"Authorization", words)]).status_code == 401


def test_the_token_opens(service: Running) -> None:
    for scheme in ("Bearer", "bearer"):
        response = httpx.get(
            f"{service.tcp}/v1/status",
            headers={"Authorization": f"{scheme} {TOKEN}"},
            timeout=PATIENCE_S,
        )
        assert response.json()["rig"] == "bench"


def test_only_loopback_is_listened_on_unless_told_otherwise(service: Running) -> None:
    assert service.server.tcp_address is not None
    assert service.server.tcp_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("content", "mode", "complaint"),
    [
        (b"short\n", 0o600, "at least 16"),
        (b"two words in one line\n", 0o600, "at least 16"),
        (b"line one is long enough\nline two\n", 0o600, "at least 16"),
        (b"\xff" * 15, 0o600, "at least 16"),
        (b"", 0o600, "at least 16"),
        (TOKEN.encode(), 0o604, "everybody may read"),
        (TOKEN.encode(), 0o622, "everybody may read or write"),
    ],
)
def test_a_token_that_protects_nothing_is_refused(
    tmp_path: Path, content: bytes, mode: int, complaint: str
) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(InputError, match=complaint) as caught:
        read_token(path)
    assert "\n" not in str(caught.value)


def test_a_token_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("x" * LEAST_CHARACTERS + "\n")
    path.chmod(0o640)
    assert read_token(path) == "x" * LEAST_CHARACTERS
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_token(tmp_path / "missing")
