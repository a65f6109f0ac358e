"""A whole rig with a Pi camera: the program imports the library's twin under the library's name."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.conftest import DEADLINE_S

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Site

LIBRARY = """
from pathlib import Path

from zstackd_config.rig import Optics, Simulation
from zstackd_drivers.clock import SystemClock
from zstackd_drivers.factory import AtRest
from zstackd_drivers.picamera2.twin import Attached, LibraryTwin, Picamera2Twin

ATTACHED = Attached(
    clock=SystemClock(),
    focus=AtRest(),
    optics=Optics(pixel_size_um=4, numerical_aperture=0.25, magnification=4),
    simulation=Simulation(vibration_um=0),
    sensor_px=(320, 240),
)
Picamera2 = LibraryTwin(ATTACHED)
"""
DYING = """
taken = 0
capture_request = Picamera2Twin.capture_request


def capture_until_it_dies(self, *, wait, flush=None):
    global taken
    if flush is not None:
        taken += 1
        if taken > {frames}:
            ATTACHED.die()
    return capture_request(self, wait=wait, flush=flush)


Picamera2Twin.capture_request = capture_until_it_dies
"""
HASTE = """
from zstackd.service import hardware
from zstackd_drivers.picamera2.camera import Picamera2Camera

hardware.HUNG_S = 5.0
Picamera2Camera.timeout_s, Picamera2Camera.timeout_frames = 0.5, 4
"""
PLANES = 6
A_RUN: dict[str, Any] = {
    "z_plan": {"bottom": 0, "top": 10 * (PLANES - 1), "step": 10},
    "exposure": {"mode": "manual", "exposure_time_ms": 8},
    "stacking": {"align": False},
}


def attach(site: Site, *, dies_after: int | None = None) -> Path:
    """Attach a camera and return a rig file with it; one that dies is not waited for long."""
    dying = "" if dies_after is None else HASTE + DYING.format(frames=dies_after)
    (site.folder / "picamera2.py").write_text(LIBRARY + dying)
    camera = {"driver": "picamera2", "size_px": [320, 240], "keep_dng": True}
    return site.rig(camera=camera)


def check_frames(site: Site, manifest: dict[str, Any]) -> None:
    """Check that the frames in the spool, DNGs too, are what the manifest says."""
    (folder,) = site.state.glob("runs/*/frames")
    assert [frame["plane"] for frame in manifest["frames"]] == list(range(PLANES))
    for frame in manifest["frames"]:
        for entry in (frame, frame["raw"]):
            data = (folder / entry["file"]).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (
                entry["bytes"],
                entry["sha256"],
            )
        assert frame["raw"]["file"].endswith(".dng")


def test_every_plane_has_its_dng_in_the_manifest(site: Site) -> None:
    done = site.zstackd("run", site.run(**A_RUN), "--rig", attach(site))
    assert done.returncode == 0, done.stderr
    check_frames(site, site.published()[1])


def test_a_camera_that_hangs_ends_a_run_by_hand_with_the_status_of_hardware(site: Site) -> None:
    done = site.zstackd("run", site.run(**A_RUN), "--rig", attach(site, dies_after=3))
    assert done.returncode == 3
    assert "stalled twice in a row" in done.stderr
    assert "Traceback" not in done.stderr
    assert site.ends() == ["failed"]


def test_a_camera_that_hangs_ends_the_service_and_the_next_one_goes_on(site: Site) -> None:
    with site.serving(attach(site, dies_after=3)) as process:
        site.drop(site.run(**A_RUN), "run.yaml")
        assert process.wait(DEADLINE_S) == 3
    log = (site.folder / "serve.log").read_text()
    assert "stalled twice in a row" in log
    assert "Traceback" not in log
    assert site.ends() == ["open"]
    with site.serving(attach(site)):
        site.wait_for_event("published")
    manifest = site.published()[1]
    assert manifest["attempts"] == 2
    check_frames(site, manifest)


def test_a_camera_that_hangs_for_good_costs_no_run_and_is_waited_for(site: Site) -> None:
    hung = attach(site, dies_after=0)
    with site.serving(hung) as process:
        site.drop(site.run(**A_RUN), "first.yaml")
        assert process.wait(DEADLINE_S) == 3
    site.drop(site.run(**A_RUN), "second.yaml")
    with site.serving(hung) as process:
        assert process.wait(DEADLINE_S) == 3
    log = (site.folder / "serve.log").read_text()
    assert "now degraded: " in log
    assert "so the process must be started anew; a new process tries again in 5 s" in log
    assert site.ends() == ["open", "open"]
    begun = [[entry["event"] for entry in journal].count("started") for journal in site.journals()]
    assert begun == [1, 0]
    with site.serving(attach(site)):
        site.until(lambda: site.ends() == ["published", "published"], "both runs")
    assert not (site.state / "camera-hung").exists()


@pytest.mark.soak
def test_a_run_that_always_makes_the_camera_hang_fails_in_the_end(site: Site) -> None:
    rig = attach(site, dies_after=2)
    site.drop(site.run(**A_RUN), "run.yaml")
    for end in ("open", "open", "failed"):
        with site.started("serve", "--rig", rig) as process:
            assert process.wait(DEADLINE_S) == 3
        assert site.ends() == [end]
    states = [entry["event"] for entry in site.journal()]
    assert states.count("started") == 3
