"""What is not there is looked for seldom, and used as soon as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.rigs import simulated_rig

from zstackd.service import retries
from zstackd.service.hardware import Hardware
from zstackd.service.retries import Retries
from zstackd_config.rig import Rig
from zstackd_drivers.clock import SystemClock
from zstackd_drivers.grbl.setup import GrblSetup
from zstackd_drivers.grbl.twin import GrblTwin
from zstackd_drivers.presence import presence

if TYPE_CHECKING:
    from pathlib import Path


def rig_on(port: Path, **changes: object) -> Rig:
    return Rig.model_validate({**simulated_rig(focus={"port": str(port)}), **changes})


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("zstackd.service.retries.time.monotonic", lambda: now[0])
    return now


def test_pauses_grow_to_the_last_one(tmp_path: Path, now_s: list[float]) -> None:
    rig, pauses = rig_on(tmp_path / "port"), Retries()
    for pause_s in (*retries.PAUSES_S, retries.PAUSES_S[-1]):
        assert pauses.due(rig)
        pauses.begin(rig)
        pauses.failed()
        now_s[0] += pause_s - 0.1
        assert not pauses.due(rig)
        now_s[0] += 0.2


def test_a_port_that_comes_is_tried_at_once_and_soon_again(
    tmp_path: Path, now_s: list[float]
) -> None:
    port = tmp_path / "port"
    rig, pauses = rig_on(port), Retries()
    for _ in retries.PAUSES_S:
        pauses.begin(rig)
        pauses.failed()
    assert not pauses.due(rig)
    port.touch(mode=0o600)
    assert pauses.due(rig)
    pauses.begin(rig)
    pauses.failed()
    assert not pauses.due(rig)
    port.chmod(0o660)  # as udev does a moment later
    assert pauses.due(rig)
    pauses.begin(rig)
    pauses.failed()
    now_s[0] += retries.PAUSES_S[0]
    assert pauses.due(rig)


def test_what_the_rig_does_not_name_shows_by_the_folder_of_devices(tmp_path: Path) -> None:
    rig = Rig.model_validate(simulated_rig(focus={"port": "auto"}))
    before = presence(rig, tmp_path)
    assert presence(rig, tmp_path) == before
    (tmp_path / "ttyACM0").touch()
    assert presence(rig, tmp_path) != before


def test_a_usb_camera_that_comes_is_seen(tmp_path: Path) -> None:
    camera = {"driver": "uvc", "device": str(tmp_path / "video"), "size_px": [160, 120]}
    rig = Rig.model_validate({**simulated_rig(), "camera": camera})
    before = presence(rig, tmp_path / "none")
    (tmp_path / "video").touch()
    assert presence(rig, tmp_path / "none") != before


def test_the_service_uses_a_controller_that_comes_without_waiting_for_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "PAUSES_S", (3600.0,))
    rig = rig_on(tmp_path / "by-id")
    hardware = Hardware(rig)
    assert not hardware.keep()
    assert not hardware.keep()
    setup = GrblSetup.from_rig(rig.focus, rig.simulation)
    with GrblTwin(setup=setup, clock=SystemClock(), link=tmp_path / "by-id"):
        try:
            assert hardware.keep()
        finally:
            hardware.close()
