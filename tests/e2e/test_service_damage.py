"""Frames that are no longer what was written are never stacked unasked."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Site, Watcher

PLANES = 21
SMALL = {"driver": "simulated", "size_px": [160, 120]}
DAMAGED = 4


@pytest.fixture
def damaged(site: Site) -> Site:
    """Return a site whose only run was captured, but could not be published, and lost a frame."""
    with site.serving(rig_of(site), ready=True) as process:
        site.output.rmdir()
        site.drop(site.run(), "run.yaml")
        site.wait_for_event("waiting")
        process.kill()
        process.wait()
    (frame,) = site.state.glob(f"runs/*/frames/z_{DAMAGED:04d}.*")
    frame.write_bytes(frame.read_bytes()[:-1])
    return site


def rig_of(site: Site, **service: str) -> Path:
    return site.rig(camera=SMALL, service=service, frames={"keep": "always"})


def test_an_operator_may_have_them_taken_again(damaged: Site, consumer: Watcher) -> None:
    del consumer
    site, run_id = damaged, damaged.journal()[0]["run"]
    with site.serving(rig_of(site), ready=True):
        site.wait_for_log("are no longer what was written (z_0004.")
        assert site.results() == []
        done = site.zstackd("resume", run_id, "--socket", site.state / "control.sock")
        assert done.returncode == 0, done.stderr
        site.wait_for_event("published")
    taken = Counter(entry["index"] for entry in site.journal() if entry["event"] == "frame")
    assert taken == Counter({**dict.fromkeys(range(PLANES), 1), DAMAGED: 2})
    assert site.published()[1]["partial_because"] is None


@pytest.fixture
def half(site: Site) -> Site:
    """Return a site whose service was killed in the midst of its only run."""
    slow = site.rig(camera=SMALL, focus={"settle_ms": 20_000}, frames={"keep": "always"})
    with site.serving(slow, ready=True) as process:
        site.drop(site.run(), "run.yaml")
        site.wait_for_event("frame", count=3)
        process.kill()
    return site


def resumed(site: Site) -> None:
    done = site.zstackd("resume", site.journal()[0]["run"], "--socket", site.state / "control.sock")
    assert done.returncode == 0, done.stderr
    site.wait_for_event("published")


def test_frames_of_a_rig_that_was_changed_are_stacked_with_no_others(
    half: Site, consumer: Watcher
) -> None:
    del consumer
    changed = half.rig(camera=SMALL, focus={"origin_um": 50}, frames={"keep": "always"})
    with half.serving(changed, ready=True):
        half.wait_for_log("planes (focus.origin_um was 0.0, is 50.0): resume the run to take")
        assert half.results() == []
        resumed(half)
    journal = half.journal()
    anew = [entry["event"] for entry in journal].index("waiting")
    taken = [entry["index"] for entry in journal[anew:] if entry["event"] == "frame"]
    assert taken == list(range(PLANES))
    frames = half.published()[1]["frames"]
    assert [frame["sha256"] for frame in frames] == [
        entry["sha256"] for entry in journal[anew:] if entry["event"] == "frame"
    ]


def test_a_rig_that_is_changed_back_goes_on(half: Site, consumer: Watcher) -> None:
    del consumer
    with half.serving(half.rig(camera={"size_px": [320, 240]}), ready=True):
        half.wait_for_log("planes (camera.size_px was [160, 120], is [320, 240]): resume the run")
        rig_of(half)
        assert half.zstackd("reload", "--rig", half.folder / "rig.yaml").returncode == 0
        half.wait_for_log("new settings of bench are in force")
        resumed(half)
    taken = [entry["index"] for entry in half.journal() if entry["event"] == "frame"]
    assert sorted(taken) == list(range(PLANES))
    assert half.published()[1]["partial_because"] is None


@pytest.mark.soak
def test_by_policy_the_rest_is_stacked_and_marked(damaged: Site, consumer: Watcher) -> None:
    del consumer
    site = damaged
    with site.serving(rig_of(site, when_not_resumable="end")):
        site.wait_for_event("interrupted")
    _, manifest = site.published()
    assert "no longer what was written" in manifest["partial_because"]
    planes = [frame["plane"] for frame in manifest["frames"]]
    assert planes == [index for index in range(PLANES) if index != DAMAGED]
    assert site.journal()[-1]["partial"] is True
