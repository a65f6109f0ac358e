"""Devices that fail under a running service: the run's fate is right, and nothing moves blindly."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.conftest import DEADLINE_S

from zstackd_config.load import load_rig
from zstackd_drivers.clock import SystemClock
from zstackd_drivers.firmware.faults import Action, Fault
from zstackd_drivers.grbl.setup import GrblSetup
from zstackd_drivers.grbl.twin import GrblTwin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Site, Watcher

PLANES = 12
PLAN = {"bottom": 0, "top": 10 * (PLANES - 1), "step": 10}
SMALL = {"driver": "simulated", "size_px": [160, 120]}
IN_THE_MIDDLE = 6
"""A motion between the first planes: homing is one or two, and so is the way to plane 0."""

LONG = tuple(
    pytest.param(each, marks=pytest.mark.soak)
    for each in (Action.RESET, Action.ALARM, Action.STALL, Action.REPLUG)
)


@contextmanager
def controller(site: Site, **focus: Any) -> Iterator[tuple[GrblTwin, Path]]:
    """Run a controller outside the service, on a link that stays where its port changes its name.

    Yields it with a rig file for it.
    """
    port = site.folder / "by-id"
    rig = site.rig(camera=SMALL, focus={"port": str(port), "settle_ms": 200, **focus})
    settings = load_rig(rig)
    setup = replace(GrblSetup.from_rig(settings.focus, settings.simulation), firmware="grbl")
    with GrblTwin(setup=setup, clock=SystemClock(), link=port) as twin:
        yield twin, rig


def frames_of(journal: list[dict[str, Any]]) -> list[int]:
    return sorted(entry["index"] for entry in journal if entry["event"] == "frame")


@pytest.mark.parametrize("action", [Action.UNPLUG, *LONG])
def test_a_controller_that_fails_costs_one_run(
    site: Site, consumer: Watcher, action: Action
) -> None:
    del consumer
    with controller(site) as (twin, rig), site.serving(rig, ready=True) as process:
        twin.script(Fault(action, on_motion=IN_THE_MIDDLE))
        site.drop(site.run(name="struck", z_plan=PLAN), "struck.yaml")
        site.wait_for_event("failed")
        site.drop(site.run(name="next", z_plan=PLAN), "next.yaml")
        if action is Action.UNPLUG:
            site.wait_for_log("the rig is not ready")
            twin.script(Fault(Action.REPLUG, on_motion=0))
        site.until(lambda: site.ends() == ["failed", "published"], "the next run")
        assert process.poll() is None
        site.stop(process)
        assert twin.violations == []
    struck, _ = site.journals()
    assert struck[-1]["event"] == "failed"
    assert "\n" not in struck[-1]["reason"]
    assert "captured" not in {entry["event"] for entry in struck}
    taken = frames_of(struck)
    assert taken == list(range(len(taken)))
    assert taken
    assert site.published()[1]["name"] == "next"


def test_without_homing_nothing_moves_until_an_operator_says_where_it_is(
    site: Site, consumer: Watcher
) -> None:
    del consumer
    with (
        controller(site, reference="confirm") as (twin, rig),
        site.serving(rig, ready=True) as process,
    ):
        site.drop(site.run(name="struck", z_plan=PLAN), "struck.yaml")
        site.wait_for_log("confirm where it stands")
        assert twin.motions == 0
        twin.script(Fault(Action.RESET, on_motion=IN_THE_MIDDLE))
        confirm(site, rig, twin)
        site.wait_for_event("failed")
        assert frames_of(site.journal())
        moved = twin.motions
        site.drop(site.run(name="next", z_plan=PLAN), "next.yaml")
        site.until(lambda: len(site.journals()) == 2, "the next run to be accepted")
        site.until(lambda: "not know its position" in status(site, rig), "the question")
        assert twin.motions == moved
        confirm(site, rig, twin)
        site.until(lambda: site.ends() == ["failed", "published"], "the next run")
        site.stop(process)
        assert twin.violations == []


def status(site: Site, rig: Path) -> str:
    return site.zstackd("status", "--rig", rig).stdout


def confirm(site: Site, rig: Path, twin: GrblTwin) -> None:
    """Say where the axis stands, as an operator who looks at it."""
    twin.operator_confirms()
    done = site.zstackd("focus", "confirm", "0", "--rig", rig)
    assert done.returncode == 0, done.stderr


WITH_USB_CAMERA = """
import sys
from pathlib import Path
from zstackd.cli import main
from zstackd_drivers import factory
from zstackd_drivers.uvc import camera as uvc_camera
from zstackd_drivers.uvc.twin import Plugged

class Failing(uvc_camera.UvcCamera):
    taken = 0

    def capture(self, **words):
        for order in ("stall", "unplug"):
            if Path(order).exists() and self.taken == int(Path(order).read_text()):
                Path(order).unlink()
                if order == "unplug":
                    Path("unplugged").touch()
                getattr(self.bus, order)()
        self.taken += 1
        return super().capture(**words)

def camera(rig, *, clock, truth):
    bus = Plugged(clock=clock, focus=truth, optics=rig.optics, simulation=rig.simulation)
    bus.unplugged = Path("unplugged").exists()
    made = Failing(settings=rig.camera, clock=clock, find=bus.find, open_capture=bus.open)
    made.bus = bus
    return made

factory.make_camera = camera
sys.exit(main())
"""
"""The program with the twin of a USB camera, which fails after as many frames as a file says."""


@contextmanager
def serving_with_usb_camera(site: Site) -> Iterator[subprocess.Popen[bytes]]:
    rig = site.rig(
        camera={"driver": "uvc", "device": "/dev/v4l/by-id/twin", "size_px": [160, 120]},
        focus={"port": "simulated", "settle_ms": 100},
    )
    log = site.folder / "serve.log"
    words = [sys.executable, "-W", "error", "-c", WITH_USB_CAMERA, "serve", "--rig", str(rig)]
    with (
        log.open("wb") as stream,
        subprocess.Popen(words, cwd=site.folder, stdout=stream, stderr=stream) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def test_a_camera_that_stalls_once_is_opened_anew(site: Site, consumer: Watcher) -> None:
    del consumer
    with serving_with_usb_camera(site):
        site.wait_for_log("the rig is ready")
        (site.folder / "stall").write_text("3")
        site.drop(site.run(z_plan=PLAN), "run.yaml")
        site.wait_for_event("published")
    assert "opening the camera anew" in site.log()
    assert frames_of(site.journal()) == list(range(PLANES))
    site.published()


@pytest.mark.soak
def test_a_camera_that_is_pulled_out_costs_one_run_and_is_waited_for(
    site: Site, consumer: Watcher
) -> None:
    del consumer
    with serving_with_usb_camera(site) as process:
        site.wait_for_log("the rig is ready")
        (site.folder / "unplug").write_text("3")
        site.drop(site.run(name="struck", z_plan=PLAN), "struck.yaml")
        site.wait_for_event("failed")
        site.drop(site.run(name="next", z_plan=PLAN), "next.yaml")
        site.wait_for_log("the rig is not ready")
        assert process.poll() is None
        (site.folder / "unplugged").unlink()
        site.until(lambda: site.ends() == ["failed", "published"], "the next run")
    struck, _ = site.journals()
    assert "\n" not in struck[-1]["reason"]
    assert site.published()[1]["name"] == "next"


WITH_A_BROKEN_THREAD = """
import sys
from pathlib import Path
from zstackd.service import outbox
from zstackd.cli import main

look = outbox.Outbox.look

def broken(self):
    if Path("break").exists():
        raise RuntimeError("broken on purpose")
    look(self)

outbox.Outbox.look = broken
sys.exit(main())
"""


def test_a_run_goes_on_after_an_internal_error_of_the_service(
    site: Site, consumer: Watcher
) -> None:
    del consumer
    rig = site.rig(camera=SMALL, focus={"settle_ms": 30_000})
    words = [sys.executable, "-c", WITH_A_BROKEN_THREAD, "serve", "--rig", str(rig)]
    site.drop(site.run(z_plan=PLAN), "run.yaml")
    with subprocess.Popen(words, cwd=site.folder, stderr=subprocess.PIPE, text=True) as process:
        site.wait_for_event("frame", count=2)
        (site.folder / "break").touch()
        assert process.wait(timeout=DEADLINE_S) == 1
        assert process.stderr is not None
        assert "internal error: RuntimeError: broken on purpose" in process.stderr.read()
    assert site.ends() == ["open"]
    site.rig(camera=SMALL)
    with site.serving(rig):
        site.wait_for_event("published")
    assert frames_of(site.journal()) == list(range(PLANES))
    site.published()


WITH_A_SLOW_DISK = """
import os, sys, threading
from zstackd.cli import main

fsync = os.fsync

def slow(descriptor):
    if threading.current_thread().name == "frame writer":
        threading.Event().wait(0.2)
    fsync(descriptor)

os.fsync = slow
sys.exit(main())
"""


@pytest.mark.soak
def test_the_last_frame_is_written_before_its_run_is_closed(site: Site) -> None:
    with controller(site) as (twin, rig):
        words = [sys.executable, "-c", WITH_A_SLOW_DISK, "serve", "--rig", str(rig)]
        twin.script(Fault(Action.RESET, on_motion=IN_THE_MIDDLE))
        site.drop(site.run(z_plan=PLAN), "run.yaml")
        with subprocess.Popen(words, cwd=site.folder, stderr=subprocess.DEVNULL) as process:
            try:
                site.wait_for_event("failed")
            finally:
                process.terminate()
    events = [entry["event"] for entry in site.journal()]
    assert events[-1] == "failed"
    (folder,) = site.state.glob("runs/*/frames")
    assert len(list(folder.iterdir())) == events.count("frame")
