"""Lending the rig over the API: to programs of this machine, for as long as they listen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from tests.api.conftest import RIG, TOKEN, until

from zstackd.commands.borrowing import frame_px_of_service
from zstackd_config.load import load_rig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.conftest import Running


@pytest.fixture
def client(service: Running) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client
    until(lambda: service.control.status().state == "idle", "the rig, back again")


def test_it_is_lent_while_the_answer_is_open(service: Running, client: httpx.Client) -> None:
    with client.stream("POST", "/v1/loan", params={"by": "a test"}) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()  # kept: an answer ends with who reads it
        assert next(lines) == ""
        status = client.get("/v1/status").json()
        assert (status["loan"]["to"], status["axis"], status["camera"]) == ("a test", None, None)
        until(lambda: service.control.status().state == "lent", "the word for it")
        assert b'zstackd_state{state="lent"} 1.0' in client.get("/metrics").content
        assert client.get("/healthz").json()["loan"]["to"] == "a test"
    until(lambda: service.control.loan() is None, "the end of the loan")


def test_a_lent_rig_is_refused_to_all_others(service: Running, client: httpx.Client) -> None:
    with client.stream("POST", "/v1/loan", params={"by": "a test"}):
        asked = [
            client.get("/v1/view"),
            client.post("/v1/loan"),
            client.post("/v1/focus/home"),
            client.post("/v1/focus/move", json={"z_um": 10}),
        ]
        for answer in asked:
            assert answer.status_code == 409
            assert "the rig is lent to a test since " in answer.json()["detail"]
    until(lambda: service.control.loan() is None, "the end of the loan")


def test_the_borrower_hears_that_the_motor_is_to_stop(client: httpx.Client) -> None:
    with client.stream("POST", "/v1/loan") as answer:
        lines = answer.iter_lines()
        assert next(lines) == ""
        assert client.post("/v1/focus/stop").status_code == 204
        assert next(line for line in lines if line) == "stopped by an operator"
        assert client.get("/v1/status").json()["loan"]["to"] == "API"


def test_the_size_of_frames_is_asked_for_without_a_loan(
    service: Running, client: httpx.Client
) -> None:
    client.post("/v1/focus/home")
    found = frame_px_of_service(load_rig(service.folder / "rig.yaml"))
    assert found == tuple(RIG["camera"]["size_px"])
    assert client.get("/v1/status").json()["axis"]["reference"] == "referenced"


def test_nothing_is_lent_over_the_network(service: Running, client: httpx.Client) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.post(f"{service.tcp}/v1/loan", headers=headers)
    assert answer.status_code == 403
    assert "to programs on this machine alone" in answer.json()["detail"]
    assert client.get("/v1/status").json()["loan"] is None


def test_who_goes_before_it_is_lent_keeps_nothing(
    service: Running, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The devices take longer to be closed than the borrower waits."""
    hardware, lent = service.house.hardware, []

    def lend_slowly(to: str) -> object:
        loan = type(hardware).lend(hardware, to)
        lent.append(loan)
        until(lambda: gone, "the client to go")
        return loan

    gone: list[bool] = []
    monkeypatch.setattr(hardware, "lend", lend_slowly)
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/loan", timeout=0.5)
    until(lambda: lent, "the loan")
    gone.append(True)
    until(lambda: lent[0].over, "the end of the loan")
