"""What a run leaves to the rig: where the focus is, and when the image has come to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.conftest import FINE

if TYPE_CHECKING:
    from tests.e2e.conftest import Site

SHARP = {"numerical_aperture": 0.25, "pixel_size_um": 0.5}
AROUND: dict[str, Any] = {
    "z_plan": {"range": 32, "step": "auto"},
    "z_reference_um": "autofocus",
    "stacking": {"align": False},
}


def test_planes_lie_around_the_focus_that_is_found(site: Site) -> None:
    run = site.run(autofocus={"range_um": [-60, 260]}, **AROUND)
    ended = site.zstackd("run", run, "--rig", site.rig(camera=FINE, optics=SHARP))
    assert ended.returncode == 0, ended.stderr
    events = {entry["event"]: entry for entry in site.journal()}
    focus_um = events["focused"]["z_um"]
    assert 0 < focus_um < 200
    _, manifest = site.published()
    heights = [frame["commanded_um"] for frame in manifest["frames"]]
    assert heights == pytest.approx([focus_um + offset for offset in (-16, -8, 0, 8, 16)], abs=0.01)


def test_no_focus_in_range_ends_the_run_with_the_reason(site: Site) -> None:
    run = site.run(autofocus={"range_um": [300, 380]}, **AROUND)
    ended = site.zstackd("run", run, "--rig", site.rig(camera=FINE, optics=SHARP))
    assert ended.returncode == 3
    assert "autofocus: sharpness" in ended.stderr
    assert site.journal()[-1]["event"] == "failed"
    assert site.results() == []


def test_a_search_beyond_the_limits_is_refused_when_checked(site: Site) -> None:
    run = site.run(autofocus={"range_um": [-200, 100]}, **AROUND)
    ended = site.zstackd("check", run, "--rig", site.rig())
    assert ended.returncode == 2
    assert "autofocus.range_um: focus height -200 µm is beyond the limits" in ended.stderr


def test_planes_are_taken_when_the_image_is_still(site: Site) -> None:
    rig = site.rig(camera=FINE, focus={"settle_ms": "auto", "settle_limit_ms": 60_000})
    run = site.run(z_plan={"bottom": 80, "top": 120, "step": 10})
    ended = site.zstackd("run", run, "--rig", rig)
    assert ended.returncode == 0, ended.stderr
    _, manifest = site.published()
    assert len(manifest["frames"]) == 5
    assert manifest["timing"]["settle_s"] > 5 * 3 * 0.01
