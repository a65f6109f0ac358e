"""What an operator held stays held over a crash, and what is let go goes on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Site, Watcher

PLAN = {"bottom": 0, "top": 200, "step": 10}
SMALL = {"driver": "simulated", "size_px": [160, 120]}


@pytest.mark.parametrize("whole", [True, pytest.param(False, marks=pytest.mark.soak)])
def test_a_pause_outlives_a_crash(site: Site, consumer: Watcher, whole: bool) -> None:
    del consumer
    rig = site.rig(camera=SMALL, focus={"settle_ms": 30_000})
    socket = ("--socket", site.state / "control.sock")
    with site.serving(rig, ready=True) as process:
        site.drop(site.run(z_plan=PLAN), "run.yaml")
        site.wait_for_event("frame", count=2)
        which = [] if whole else [site.journal()[0]["run"]]
        assert site.zstackd("pause", *which, *socket).returncode == 0
        site.wait_for_event("paused")
        planes = count(site, "plane")
        process.kill()
        process.wait()
    site.rig(camera=SMALL)
    with site.serving(rig, ready=True):
        listed = site.zstackd("status", *socket)
        assert "paused" in listed.stdout
        site.drop(site.run("two.yaml", name="two", z_plan=PLAN), "two.yaml")
        site.wait_for_event("accepted", count=2)
        if not whole:
            site.wait_for_event("published")  # the other run
        assert count(site, "plane", run=0) == planes
        assert site.zstackd("resume", *which, *socket).returncode == 0
        site.wait_for_event("published", count=2)


def test_cancelling_a_run_that_is_stacked_already_costs_neither_position_nor_the_next(
    site: Site, consumer: Watcher
) -> None:
    del consumer
    rig = site.rig(camera=SMALL, focus={"reference": "confirm", "speed_um_per_s": 100})
    socket = ("--socket", site.state / "control.sock")
    long = {"bottom": 0, "top": 200, "step": 0.25}
    with site.serving(rig, ready=True), site.client() as client:
        assert site.zstackd("focus", "confirm", "0", *socket).returncode == 0
        for number in range(3):
            run = site.run(name="long", z_plan=long, stacking={"reference": "first"})
            site.drop(run, f"{number}.yaml")
            site.wait_for_event("started", count=number + 1)
            site.until(partial(has_frames, site, number), "frames")
            run_id = site.journals()[number][0]["run"]
            client.post(f"/v1/runs/{run_id}/cancel")
            site.wait_for_event("cancelled", count=number + 1)
        site.drop(site.run(z_plan=PLAN), "next.yaml")
        site.wait_for_event("published")
    assert site.ends() == ["cancelled"] * 3 + ["published"]


def has_frames(site: Site, run: int) -> bool:
    return count(site, "frame", run) >= 10


def count(site: Site, event: str, run: int = 0) -> int:
    return sum(entry["event"] == event for entry in site.journals()[run])
