"""Looking through the microscope, asked of a real service on the simulated rig."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import cv2
import httpx
import numpy as np
import pytest
from tests.api.conftest import LONG_RUN, RIG, until

from zstackd.api.models import ViewAnswer
from zstackd.api.picture import shown
from zstackd.service.viewfinder import MOST_IN_LINE, View
from zstackd_config.rig import Optics
from zstackd_config.sampling import largest_step_um
from zstackd_drivers.axis import Reference
from zstackd_drivers.camera import ExposureValues

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from tests.api.conftest import Running

WIDTH, HEIGHT = RIG["camera"]["size_px"]
PAGE = files("zstackd.api").joinpath("live.html").read_text(encoding="utf-8")


@pytest.fixture
def client(service: Running) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@dataclass(frozen=True)
class Seen:
    image: NDArray[Any]
    facts: ViewAnswer


def look(client: httpx.Client, **words: Any) -> Seen:
    """Look once, and check that picture and facts are what they say."""
    answer = client.get("/v1/view", params=words)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == f"image/{'png' if words.get('format') else 'jpeg'}"
    image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return Seen(image, ViewAnswer.model_validate_json(answer.headers["zstackd-view"]))


def refusal(client: httpx.Client, **words: Any) -> tuple[int, str]:
    answer = client.get("/v1/view", params=words)
    return answer.status_code, answer.json()["detail"]


def test_a_look_shows_a_frame_and_what_is_known_of_it(client: httpx.Client) -> None:
    seen = look(client)
    assert seen.image.shape[:2] == (HEIGHT, WIDTH)
    assert seen.facts.size_px == (WIDTH, HEIGHT)
    assert seen.facts.run_id is None
    assert 0 < seen.facts.brightness < seen.facts.highlight <= 1
    assert not seen.facts.saturated
    assert seen.facts.exposure_time_ms > 0
    assert seen.facts.largest_step_um == largest_step_um(Optics.model_validate(RIG["optics"]))


def test_the_sharpness_tells_the_way_to_the_focus(client: httpx.Client) -> None:
    heights = [-80.0, 60.0, 100.0]
    sharp = []
    for z_um in heights:
        client.post("/v1/focus/move", json={"z_um": z_um})
        seen = look(client)
        assert seen.facts.z_um == pytest.approx(z_um, abs=1)
        sharp.append(seen.facts.sharpness)
    assert sharp[0] < 0.5 * max(sharp)


def test_the_exposure_is_held_until_another_is_asked_for(client: httpx.Client) -> None:
    first = look(client).facts
    assert look(client).facts.exposure_time_ms == first.exposure_time_ms
    dark = look(client, exposure_time_ms=2).facts
    assert dark.exposure_time_ms == pytest.approx(2, rel=0.05)
    assert dark.brightness < first.brightness
    assert look(client).facts.brightness == pytest.approx(first.brightness, rel=0.2)


def test_a_runs_exposure_is_not_taken_for_the_looks(service: Running, client: httpx.Client) -> None:
    before = look(client, exposure_time_ms=4).facts
    run_id = service.submit(exposure={"mode": "manual", "exposure_time_ms": 1})
    service.wait(run_id, "published")
    until(lambda: service.control.status().current is None, "the rig to be free")
    after = look(client, exposure_time_ms=4).facts
    assert after.exposure_time_ms == pytest.approx(before.exposure_time_ms, rel=0.01)


def test_the_middle_is_cut_out_and_the_whole_reduced(client: httpx.Client) -> None:
    assert look(client, crop_px=64, format="png").image.shape == (64, 64, 3)
    assert look(client, crop_px=5000).image.shape[:2] == (HEIGHT, WIDTH)
    reduced = look(client, max_side_px=80).image
    assert max(reduced.shape) == 80


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ({"crop_px": 3}, 422, "crop_px: 3 px is out of bounds; it must be at least 32 px"),
        ({"analogue_gain": 2}, 422, "give exposure_time_ms too"),
        ({"exposure_time_ms": 0}, 422, "exposure_time_ms"),
        ({"format": "bmp"}, 422, "format"),
        ({"exposure_time_ms": 1e5}, 422, "is outside the sensor's"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    client: httpx.Client, words: dict[str, Any], status: int, said: str
) -> None:
    got, detail = refusal(client, **words)
    assert (got, said in detail) == (status, True), detail


def test_an_exposure_that_the_camera_refuses_costs_no_position(
    service: Running, client: httpx.Client
) -> None:
    client.post("/v1/focus/home")
    refusal(client, exposure_time_ms=1e5)
    look(client)
    axis = service.control.status().axis
    assert axis is not None
    assert axis.reference is Reference.REFERENCED


def test_while_a_run_has_the_rig_its_newest_frame_is_shown(
    service: Running, client: httpx.Client
) -> None:
    run_id = service.submit(**LONG_RUN)
    try:
        service.wait(run_id, "frame")
        seen = look(client, max_side_px=100)
        assert seen.facts.run_id == run_id
        assert seen.facts.z_um is not None
        assert max(seen.image.shape) == 100
    finally:
        client.post(f"/v1/runs/{run_id}/cancel")
        service.wait(run_id, "cancelled")
        until(lambda: service.control.status().current is None, "the rig to be free")


def test_a_run_begins_though_others_look_all_the_time(
    service: Running, client: httpx.Client
) -> None:
    end = threading.Event()
    looks: list[int] = []

    def stare() -> None:
        with service.client() as own:
            while not end.is_set():
                looks.append(own.get("/v1/view").status_code)

    stares = [threading.Thread(target=stare) for _ in range(MOST_IN_LINE - 1)]
    for each in stares:
        each.start()
    try:
        until(lambda: looks.count(200) >= len(stares), "somebody to see something")
        run_id = service.submit()
        service.wait(run_id, "published")
        moved = client.post("/v1/focus/move", json={"z_um": 40})
    finally:
        end.set()
        for each in stares:
            each.join()
    entries = client.get(f"/v1/runs/{run_id}/journal").json()["entries"]
    assert [e["event"] for e in entries if e["event"] in {"started", "waiting"}] == ["started"]
    assert moved.status_code == 200, moved.text
    assert set(looks) <= {200, 409}


def test_the_focus_is_found_between_two_heights(client: httpx.Client) -> None:
    found = client.post("/v1/focus/auto", json={"low_um": -60, "high_um": 260}, timeout=60).json()
    heights = [sample["z_um"] for sample in found["samples"]]
    assert heights == sorted(heights)
    assert 0 <= found["z_um"] <= 200
    assert look(client).facts.z_um == pytest.approx(found["z_um"], abs=1)


@pytest.mark.parametrize(
    ("sweep", "status", "said"),
    [
        ((0, 0), 422, "low_um 0 must be less than high_um 0"),
        ((0, 900), 422, "high_um: focus height 900 µm is beyond the limits -100 to 400 µm"),
        ((300, 390), 409, "autofocus: "),
    ],
)
def test_what_is_no_range_or_has_no_focus_is_refused_and_costs_no_position(
    service: Running, client: httpx.Client, sweep: tuple[float, float], status: int, said: str
) -> None:
    client.post("/v1/focus/home")
    document = dict(zip(("low_um", "high_um"), sweep, strict=True))
    answer = client.post("/v1/focus/auto", json=document, timeout=60)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
    axis = service.control.status().axis
    assert axis is not None
    assert axis.reference is Reference.REFERENCED


def test_a_stop_ends_a_search_between_two_moves_too(service: Running, client: httpx.Client) -> None:
    document = {"low_um": -60, "high_um": 260}
    client.post("/v1/focus/home")
    ended: list[httpx.Response] = []

    def search() -> None:
        with service.client() as own:
            ended.append(own.post("/v1/focus/auto", json=document, timeout=60))

    searching = threading.Thread(target=search)
    searching.start()
    until(lambda: service.control._by_hand is not None, "the search to begin")  # type: ignore[attr-defined]
    client.post("/v1/focus/stop")
    searching.join(60)
    assert [answer.status_code for answer in ended] == [409]
    assert ended[0].json()["detail"] == "stopped by an operator"
    until(lambda: client.get("/v1/view").status_code == 200, "the camera to be there again")


def test_a_look_of_sixteen_bits_keeps_them_in_png_and_not_in_jpeg() -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    view = View(ramp, None, None, ExposureValues(1.0, 1.0, None), 2.0)
    made = np.frombuffer(shown(view, "png", max_side_px=None, crop_px=None).picture, np.uint8)
    np.testing.assert_array_equal(np.asarray(cv2.imdecode(made, cv2.IMREAD_UNCHANGED)), ramp)
    made = np.frombuffer(shown(view, "jpg", max_side_px=None, crop_px=None).picture, np.uint8)
    jpg = cv2.imdecode(made, cv2.IMREAD_UNCHANGED)
    assert jpg is not None
    assert jpg.itemsize == 1
    assert int(jpg.min()) < 3
    assert int(jpg.max()) > 252


def test_the_page_is_there_and_asks_for_nothing_from_elsewhere(client: httpx.Client) -> None:
    answer = client.get("/live")
    assert answer.text == PAGE
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "http" not in re.sub(r"HTTP status", "", PAGE, flags=re.IGNORECASE)


def test_the_page_asks_only_what_is_there(service: Running) -> None:
    asked = set(re.findall(r'"(/v1/[a-z/]+)\??"', PAGE))
    assert {"/v1/view", "/v1/status", "/v1/focus/stop", "/v1/focus/home"} <= asked
    assert asked <= set(service.app.openapi()["paths"])


def test_the_page_reads_only_facts_that_are_told() -> None:
    read = set(re.findall(r"\bfacts\.([a-z_]+)", PAGE))
    assert read <= set(ViewAnswer.model_fields)
    assert json.dumps(sorted(read)) != "[]"


def test_the_page_fills_only_places_that_it_has() -> None:
    named = set(re.findall(r'el\("([a-z-]+)"\)', PAGE))
    assert named == set(re.findall(r'id="([a-z-]+)"', PAGE))
