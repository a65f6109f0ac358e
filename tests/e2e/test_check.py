"""`zstackd check`: the plan of each run, or everything that is wrong; nothing moves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.conftest import Site


def test_prints_the_plan(site: Site) -> None:
    ended = site.zstackd("check", site.run(), "--rig", site.rig())
    assert (ended.returncode, ended.stderr) == (0, "")
    for words in ("21: 0, 10, 20,", "190, 200 µm", "rig time", "MB"):
        assert words in ended.stdout
    assert not site.state.exists()
    assert not site.output.exists()


def test_json_has_the_planes_and_the_bounds(site: Site) -> None:
    ended = site.zstackd("check", "--json", site.run(), "--rig", site.rig())
    rig, run = json.loads(ended.stdout)
    assert (rig["ok"], run["ok"], run["errors"]) == (True, True, [])
    assert run["plan"]["planes_um"] == [10.0 * i for i in range(21)]
    assert run["plan"]["seconds"] > 21 * 0.1
    pixels = 512 * 384
    assert run["plan"]["disk_bytes"] > 21 * pixels
    assert run["plan"]["peak_memory_bytes"] > 60 * pixels


def test_estimates_bound_what_the_run_needs(site: Site) -> None:
    rig, run = site.rig(), site.run()
    plan = json.loads(site.zstackd("check", "--json", run, "--rig", rig).stdout)[1]["plan"]
    assert site.zstackd("run", run, "--rig", rig).returncode == 0
    result, manifest = site.published()
    frames = sum(frame["bytes"] for frame in manifest["frames"])
    files = sum(path.stat().st_size for path in result.iterdir())
    assert frames + files <= plan["disk_bytes"] <= 6 * (frames + files)
    assert plan["seconds"] <= manifest["timing"]["wall_s"] * 1.2


def test_all_that_is_wrong_is_said_at_once(site: Site) -> None:
    far = site.run("far.yaml", z_plan={"bottom": 0, "top": 900, "step": 50})
    bad = site.folder / "bad.yaml"
    bad.write_text("name: x\nz_plam: {}\nexposure: {mode: manual}\n")
    ended = site.zstackd("check", far, site.run(), bad, "--rig", site.rig())
    assert ended.returncode == 2
    assert "plane 9" in ended.stderr
    assert "bad.yaml:2" in ended.stderr
    assert "exposure_time_ms" in ended.stderr
    assert "A small run" in ended.stdout


def test_nothing_to_check(site: Site) -> None:
    assert site.zstackd("check").returncode == 2
