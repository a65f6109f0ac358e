"""What the API answers, asked over its Unix socket of a real service on the simulated rig."""

from __future__ import annotations

import hashlib
import json
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from tests.api.conftest import LONG_RUN, RUN, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.conftest import Running


@pytest.fixture
def client(service: Running) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def published(service: Running) -> str:
    """Return the id of a run that was published."""
    run_id = service.submit()
    service.wait(run_id, "published")
    return run_id


def problem(response: httpx.Response) -> tuple[int, str, int]:
    """Return status, detail and exit status of a refusal, which must be a whole problem."""
    assert response.headers["content-type"] == "application/problem+json"
    content = response.json()
    assert content["status"] == response.status_code
    return content["status"], content["detail"], content["exit_status"]


def test_a_run_is_accepted_done_and_shown(client: httpx.Client, published: str) -> None:
    shown = client.get(f"/v1/runs/{published}").json()
    assert (shown["state"], shown["planes_done"], shown["name"]) == ("published", 5, "A small run")
    listed = client.get("/v1/runs", params={"state": "published"}).json()["runs"]
    assert published in [run["run_id"] for run in listed]
    events = [
        entry["event"] for entry in client.get(f"/v1/runs/{published}/journal").json()["entries"]
    ]
    assert (events[0], events[-1]) == ("accepted", "published")


def test_submitting_answers_where_the_run_is(client: httpx.Client) -> None:
    response = client.post("/v1/runs", content=json.dumps(RUN), params={"source": "mine.yaml"})
    assert response.status_code == HTTPStatus.CREATED
    run = response.json()["run"]
    assert response.headers["location"] == f"/v1/runs/{run['run_id']}"
    first = client.get(f"/v1/runs/{run['run_id']}/journal").json()["entries"][0]
    assert first["source"] == "mine.yaml"


def test_a_repeated_run_is_answered_as_a_series(client: httpx.Client) -> None:
    response = client.post("/v1/runs", content=json.dumps(RUN | {"repeat": 300}))
    series = response.json()["series"]
    assert (response.json()["run"], series["count"]) == (None, 300)
    listed = client.get("/v1/series").json()["series"]
    assert series["series_id"] in [one["series_id"] for one in listed]
    cancelled = client.post(f"/v1/runs/{series['series_id']}/cancel")
    assert cancelled.status_code == HTTPStatus.OK
    assert client.get("/v1/series").json()["series"] == []


def test_every_problem_of_a_run_file_is_told(client: httpx.Client, service: Running) -> None:
    before = service.requests()
    document = "name: x\nz_plam: 3\nz_plan: {bottom: 0, top: 10, step: 1}\nexposure: {mode: x}\n"
    status, detail, exit_status = problem(
        client.post("/v1/runs", content=document, params={"source": "bad.yaml"})
    )
    assert (status, exit_status) == (422, 2)
    assert [line.split(":")[0] for line in detail.splitlines()] == ["bad.yaml"] * 2
    assert "z_plam" in detail
    assert service.requests() == before


def test_a_run_beyond_the_limits_is_refused_and_a_good_one_planned(client: httpx.Client) -> None:
    far = RUN | {"z_plan": {"bottom": 0, "top": 900, "step": 50}}
    status, detail, _ = problem(client.post("/v1/plans", content=yaml.safe_dump(far)))
    assert status == 422
    assert detail.startswith("API:2:1: z_plan: plane 9 of 19")
    assert "-100 to 400 µm" in detail
    plan = client.post("/v1/plans", content=yaml.safe_dump(RUN)).json()
    assert plan["planes_um"] == [0, 25, 50, 75, 100]
    assert plan["seconds"] > 0
    assert plan["disk_bytes"] > 160 * 120 * 5


def test_results_can_be_fetched_and_match_their_manifest(
    client: httpx.Client, published: str
) -> None:
    manifest = client.get(f"/v1/runs/{published}/manifest").json()
    assert manifest["run_id"] == published
    for file in manifest["files"]:
        fetched = client.get(f"/v1/runs/{published}/files/{file['name']}")
        assert fetched.status_code == HTTPStatus.OK
        assert hashlib.sha256(fetched.content).hexdigest() == file["sha256"]
    preview = client.get(f"/v1/runs/{published}/preview")
    assert preview.headers["content-type"] == "image/jpeg"
    assert preview.content[:2] == b"\xff\xd8"
    latest = client.get("/v1/frames/latest")
    assert latest.content[:2] == b"\xff\xd8"


@pytest.mark.parametrize("name", ["rig.yaml", "nothing.tif", "manifest.json.bak"])
def test_only_files_of_the_manifest_are_served(
    client: httpx.Client, published: str, name: str
) -> None:
    status, detail, _ = problem(client.get(f"/v1/runs/{published}/files/{name}"))
    assert (status, detail) == (404, f"the result has no file {name}")


def test_a_manifest_that_points_elsewhere_leads_nowhere(
    client: httpx.Client, service: Running
) -> None:
    """Consumers may write into the output folder; the API serves none of their links."""
    run_id = service.submit(name="tampered")
    service.wait(run_id, "published")
    path = service.control.manifest(run_id)
    manifest: dict[str, Any] = json.loads(path.read_text())
    image = manifest["files"][0]["name"]
    (path.parent / image).unlink()
    (path.parent / image).symlink_to("/etc/passwd")
    manifest["files"][1]["name"] = "../../rig.yaml"
    path.write_text(json.dumps(manifest))
    for name in (image, "../../rig.yaml", "..%2F..%2Frig.yaml"):
        assert client.get(f"/v1/runs/{run_id}/files/{name}").status_code >= 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/runs/20000101T000000Z_never"),
        ("GET", "/v1/runs/20000101T000000Z_never/journal"),
        ("GET", "/v1/runs/20000101T000000Z_never/manifest"),
        ("POST", "/v1/runs/20000101T000000Z_never/cancel"),
        ("POST", "/v1/runs/20000101T000000Z_never/pause"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1/events?run_id=20000101T000000Z_never"),
    ],
)
def test_what_is_not_there_is_404(client: httpx.Client, method: str, path: str) -> None:
    status, _, exit_status = problem(client.request(method, path))
    assert (status, exit_status) == (404, 2)


def test_a_run_in_work_is_paused_resumed_and_cancelled(
    client: httpx.Client, service: Running
) -> None:
    run_id = service.submit(**LONG_RUN)
    service.wait(run_id, "frame")
    assert problem(client.post("/v1/focus/move", json={"z_um": 10}))[0] == 409
    client.post(f"/v1/runs/{run_id}/pause", params={"by": "maria"})
    service.wait(run_id, "paused")
    paused = client.get(f"/v1/runs/{run_id}").json()
    assert (paused["state"], paused["reason"]) == ("paused", "paused by maria")
    client.post(f"/v1/runs/{run_id}/resume")
    service.wait(run_id, "resumed")
    client.post(f"/v1/runs/{run_id}/cancel", params={"by": "maria"})
    service.wait(run_id, "cancelled")
    ended = client.get(f"/v1/runs/{run_id}").json()
    assert (ended["state"], ended["reason"]) == ("cancelled", "cancelled by maria")
    assert problem(client.post(f"/v1/runs/{run_id}/cancel"))[0] == 409


def test_the_service_is_held_and_goes_on(client: httpx.Client, service: Running) -> None:
    assert client.post("/v1/pause", params={"by": "maria"}).json()["state"] == "paused"
    run_id = service.submit()
    held = client.get("/v1/status").json()
    assert (held["state"], held["why"]) == ("paused", "paused by maria")
    assert client.get(f"/v1/runs/{run_id}").json()["planes_done"] == 0
    assert client.post("/v1/resume").json()["state"] != "paused"
    service.wait(run_id, "published")


def test_focus_moves_only_within_its_limits(
    client: httpx.Client, service: Running, published: str
) -> None:
    del published  # nothing moves before the rig is open
    service.until_idle()
    assert client.post("/v1/focus/home").json()["reference"] == "referenced"
    assert client.post("/v1/focus/move", json={"z_um": 50}).json()["position_um"] == 50
    status, detail, _ = problem(client.post("/v1/focus/move", json={"z_um": 5000}))
    assert status == 422
    assert "5000 µm" in detail
    assert "-100 to 400 µm" in detail
    wrong = {
        "z_um: 'up' is not a number; write a number of µm, such as 1.5": {"z_um": "up"},
        "z_um: 2e+07 µm is out of bounds; it must be at most 1e+07 µm": {"z_um": 2e7},
        "z_um: missing; add it": {},
        "z_um: true is not a number": {"z_um": True},
        "z_um: '12' is not a number; write a number of µm, such as 1.5": {"z_um": "12"},
        "fast: unknown key; remove it": {"z_um": 1, "fast": True},
    }
    for body in (b"not json", b'["z_um"]', b""):
        headers = {"content-type": "application/json"}
        answer = client.post("/v1/focus/move", content=body, headers=headers)
        assert problem(answer)[1].startswith("body: not what is wanted; send a JSON object")
    for said, target in wrong.items():
        status, detail, _ = problem(client.post("/v1/focus/move", json=target))
        assert status == 422
        assert said in detail
    assert client.post("/v1/focus/confirm", json={"position_um": 60}).json()["position_um"] == 60
    status, detail, _ = problem(client.post("/v1/focus/confirm", json={"position_um": 9999}))
    assert status == 422
    assert "cannot stand at 9999 µm" in detail
    assert client.post("/v1/focus/home").json()["reference"] == "referenced"


def test_status_names_the_rig_and_its_room(client: httpx.Client, published: str) -> None:
    del published
    status = client.get("/v1/status").json()
    assert status["rig"] == "bench"
    assert status["counts"]["published"] >= 1
    assert status["camera"]["size_px"] == [160, 120]
    assert status["spool"]["free_bytes"] > 0


def test_reload_takes_a_good_rig_file_and_keeps_the_old_one_when_the_new_is_bad(
    client: httpx.Client, service: Running
) -> None:
    rig_file = service.folder / "rig.yaml"
    good = rig_file.read_text()
    rig_file.write_text(good.replace("name: bench", "name: [bench"))
    status, detail, exit_status = problem(client.post("/v1/reload"))
    assert (status, exit_status) == (422, 2)
    assert "rig.yaml" in detail
    assert client.get("/v1/status").json()["rig"] == "bench"
    rig_file.write_text(good.replace("name: bench", "name: second"))
    assert client.post("/v1/reload").json()["changes"] == ["name"]
    rig_file.write_text(good)
    assert client.post("/v1/reload").json()["changes"] == ["name"]


def test_a_state_that_there_is_not_is_told_with_those_there_are(client: httpx.Client) -> None:
    for state, said in (("foo", "known are queued, "), ("faild", "did you mean 'failed'?")):
        status, detail, _ = problem(client.get("/v1/runs", params={"state": state}))
        assert status == 422
        assert detail.startswith(f"state[0]: '{state}' is not possible; {said}")


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/docs", 404, "/docs: no such path; /openapi.json names those there are"),
        ("POST", "/v1/runs/", 404, "/v1/runs/: no such path; /openapi.json names those there are"),
        ("PUT", "/v1/runs", 405, "/v1/runs: PUT is not possible; use GET, POST"),
        ("GET", "/v1/runs?sate=failed", 422,
         "sate: unknown word of the query; did you mean 'state'?"),
        ("POST", "/v1/pause?why=x", 422, "why: unknown word of the query; known are by"),
        ("GET", "/v1/status?all=1", 422, "all: unknown word of the query; remove it"),
        ("GET", "/v1/runs/%C3%A4", 422,
         ("run_id: 'ä' is no id of a run; write letters, digits, - and _, such as "
          "20261128T101112Z_my-run")),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_is_told_what_to_do(
    client: httpx.Client, method: str, path: str, status: int, detail: str
) -> None:
    assert problem(client.request(method, path)) == (status, detail, 2)


def test_health_and_metrics(client: httpx.Client, service: Running, published: str) -> None:
    del published
    until(lambda: service.house.hardware.trouble is None, "the rig, reopened by a reload")
    assert client.get("/healthz").json() == {"status": "ok", "late_s": {}, "loan": None}
    lines = client.get("/metrics").text.splitlines()
    figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(figures['zstackd_runs_total{outcome="published"}']) >= 1
    assert float(figures["zstackd_planes_total"]) >= 5
    assert float(figures['zstackd_phase_seconds_count{phase="capture"}']) >= 1
    assert float(figures['zstackd_disk_free_bytes{folder="output"}']) > 0
    assert float(figures['zstackd_device_open{device="camera"}']) == 1
    assert float(figures["zstackd_metrics_lost_events_total"]) == 0
    silence = {name for name in figures if name.startswith("zstackd_thread_silence_seconds")}
    assert 'zstackd_thread_silence_seconds{thread="api"}' in silence


def test_a_hanging_thread_is_unhealthy(client: httpx.Client, service: Running) -> None:
    service.house.pulses.of("a test").beat(expected_s=-1000)
    try:
        response = client.get("/healthz")
        assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert response.json()["status"] == "hanging"
        assert list(response.json()["late_s"]) == ["a test"]
    finally:
        service.house.pulses.end("a test")


def test_a_hostile_run_name_cannot_leave_the_spool(client: httpx.Client, service: Running) -> None:
    names = ["../../evil", "/etc/cron.d/x", "..", "a\x00b", "-rf", "con\n.yaml", "ä" * 80, "💥"]
    before = service.requests()
    for name in names:
        client.post("/v1/runs", content=json.dumps(RUN | {"name": name}))
    made = service.requests() - before
    assert len(made) >= 4  # some of them are refused
    for path in made:
        assert Path(path).parts[:2] == ("state", "runs")
        assert len(Path(path).parts) == 4
    left = {path.name for path in service.folder.iterdir()}
    assert left == {"control.sock", "rig.yaml", "token", "state", "output"}


@pytest.mark.parametrize(
    "run_id", ["..", "%2e%2e%2f%2e%2e%2frig.yaml", "..%5c..", "a%00b", "x" * 500, "%ff"]
)
def test_a_hostile_run_id_leads_nowhere(client: httpx.Client, run_id: str) -> None:
    for path in ("", "/journal", "/manifest", "/preview", "/files/rig.yaml"):
        assert client.get(f"/v1/runs/{run_id}{path}").status_code in {404, 405, 422}


def test_events_come_as_they_happen_and_can_be_heard_again(
    client: httpx.Client, service: Running
) -> None:
    run_id = service.submit(name="heard")
    service.wait(run_id, "published")
    kinds: list[str] = []
    numbers: list[int] = []
    with client.stream("GET", "/v1/events", params={"after": 0, "run_id": run_id}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                assert event["run_id"] == run_id
                kinds.append(event["kind"])
                numbers.append(event["number"])
                if event["kind"] == "published":
                    break
    assert kinds[0] == "accepted"
    assert kinds.count("frame") == 5
    assert numbers == sorted(set(numbers))
    with client.stream("GET", "/v1/events", headers={"Last-Event-ID": str(numbers[-2])}) as stream:
        first = next(line for line in stream.iter_lines() if line.startswith("id: "))
    assert first == f"id: {numbers[-2] + 1}"


def test_the_openapi_document_is_whole(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    text = json.dumps(document)
    assert "HTTPValidationError" not in text
    named = set(document["components"]["schemas"])
    used = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= named
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], f"{method} {path}"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/runs/my%20run", "run_id: 'my run' is no id of a run; write letters, digits, - "),
        ("/v1/runs/x/files/.hidden", "name: '.hidden' is no name of a result's file; write "),
    ],
)
def test_texts_of_a_wrong_make_are_told_in_words(
    client: httpx.Client, path: str, said: str
) -> None:
    status, detail, exit_status = problem(client.get(path))
    assert (status, exit_status) == (422, 2)
    assert detail.startswith(said)


def test_a_source_of_several_lines_is_told_in_words(client: httpx.Client) -> None:
    _, detail, _ = problem(
        client.post("/v1/runs", content=json.dumps(RUN), params={"source": "a\nb"})
    )
    assert detail.startswith("source: ")
    assert "is not one line of text; leave line ends and control characters out" in detail
