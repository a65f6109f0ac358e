"""A browser that reaches the Unix socket through a tunnel: whose pages have a say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.conftest import TOKEN

from zstackd.api.origin import is_local

if TYPE_CHECKING:
    from tests.api.conftest import Running


def ordered(service: Running, headers: dict[str, str]) -> httpx.Response:
    with service.client() as client:
        return client.post("/v1/resume", headers=headers)


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "zstackd"])
def test_the_services_own_page_has_a_say(service: Running, host: str) -> None:
    answer = ordered(service, {"Host": host, "Origin": f"http://{host}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://elsewhere.org", "null", "http://localhost:9090", "http://localhost:8080.x"]
)
def test_the_page_of_another_site_has_none(service: Running, origin: str) -> None:
    answer = ordered(service, {"Host": "localhost:8080", "Origin": origin})
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith(f"the page of {origin!r} has no say here")


@pytest.mark.parametrize("host", ["elsewhere.org", "elsewhere.org:80", "127.0.0.1.nip.io", "a@b.c"])
def test_a_name_that_points_here_is_not_believed(service: Running, host: str) -> None:
    answer = ordered(service, {"Host": host})
    assert answer.status_code == 421
    assert answer.json()["detail"].startswith(f"this is not {host!r}")


def test_on_tcp_the_token_counts_alone(service: Running) -> None:
    headers = {"Host": "rig.example.org", "Authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{service.tcp}/v1/status", headers=headers).status_code == 200


@given(st.text(max_size=40))
def test_any_host_is_judged(host: str) -> None:
    assert is_local(host) in {True, False}
