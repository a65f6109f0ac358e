"""`zstackd check`: the plan of each run, or everything that is wrong; nothing moves."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.conftest import FINE, SIZE_PX

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
    pixels = math.prod(SIZE_PX)
    assert run["plan"]["disk_bytes"] > 21 * pixels
    assert run["plan"]["peak_memory_bytes"] > 60 * pixels


@pytest.mark.parametrize(
    "output",
    [{}, {"extras": ["confidence", "relief", "mesh", "focus_curve"], "format": "png"}],
    ids=["usual", "everything"],
)
def test_estimates_bound_what_the_run_needs(site: Site, output: dict[str, Any]) -> None:
    rig, run = site.rig(camera=FINE), site.run(output=output)
    plan = json.loads(site.zstackd("check", "--json", run, "--rig", rig).stdout)[1]["plan"]
    assert site.zstackd("run", run, "--rig", rig).returncode == 0
    result, manifest = site.published()
    frames = sum(frame["bytes"] for frame in manifest["frames"])
    files = sum(path.stat().st_size for path in result.iterdir())
    assert frames + files <= plan["disk_bytes"] <= 6 * (frames + files)
    assert plan["seconds"] <= manifest["timing"]["wall_s"] * 1.2


def test_raw_files_are_counted(site: Site) -> None:
    camera = {"driver": "picamera2", "size_px": [1024, 768], "keep_dng": True}
    with_raw = site.rig("raw.yaml", camera=camera)
    without = site.rig("plain.yaml", camera={**camera, "keep_dng": False})
    more, less = (
        json.loads(site.zstackd("check", "--json", site.run(), "--rig", rig).stdout)[1]["plan"]
        for rig in (with_raw, without)
    )
    raw_bytes = 21 * 2 * 1024 * 768
    assert raw_bytes < more["disk_bytes"] - less["disk_bytes"] < 1.5 * raw_bytes


def test_all_that_is_wrong_is_said_at_once(site: Site) -> None:
    far = site.run("far.yaml", z_plan={"bottom": 0, "top": 900, "step": 50})
    bad = site.folder / "bad.yaml"
    bad.write_text("name: x\nz_plam: {}\nexposure: {mode: manual}\n")
    ended = site.zstackd("check", far, site.run(), bad, "--rig", site.rig())
    assert ended.returncode == 2
    assert "far.yaml:2:1: z_plan: plane 9 of 19" in ended.stderr
    assert "; 9 more planes are out of reach" in ended.stderr
    assert "bad.yaml:2" in ended.stderr
    assert "exposure_time_ms" in ended.stderr
    assert "A small run" in ended.stdout


def test_planes_too_far_apart_are_warned_of(site: Site) -> None:
    coarse = site.run("coarse.yaml", z_plan={"bottom": 0, "top": 200, "step": 100})
    ended = site.zstackd("check", coarse, "--rig", site.rig())
    assert ended.returncode == 0
    assert "coarse.yaml: warning: z_plan: planes lie up to 100 µm apart" in ended.stderr
    assert "give step auto" in ended.stderr
    (_, judged) = json.loads(site.zstackd("check", "--json", coarse, "--rig", site.rig()).stdout)
    assert judged["ok"]
    assert len(judged["warnings"]) == 1


def test_planes_closer_than_motor_steps_are_warned_of(site: Site) -> None:
    run = site.run("fine.yaml", z_plan={"bottom": 0, "top": 1, "step": 0.1})
    ended = site.zstackd("check", run, "--rig", site.rig())
    assert ended.returncode == 0
    assert "fine.yaml: warning: z_plan: planes lie 0.1 µm apart, but a motor step is 0.25 µm" in (
        ended.stderr
    )
    board = {"driver": "sangaboard", "port": "/dev/ttyACM0", "um_per_unit": -0.5}
    ended = site.zstackd("check", run, "--rig", site.rig(focus=board))
    assert "a motor step is 0.5 µm" in ended.stderr
    unknown = site.rig(focus={"driver": "marlin", "port": "/dev/ttyACM0"})
    assert site.zstackd("check", run, "--rig", unknown).stderr == ""


def test_an_automatic_step_is_worked_out_from_the_optics(site: Site) -> None:
    run = site.run("auto.yaml", z_plan={"bottom": 0, "top": 200, "step": "auto"})
    rig = site.rig(optics={"numerical_aperture": 0.25, "pixel_size_um": 0.5})
    ended = site.zstackd("check", "--json", run, "--rig", rig)
    assert ended.returncode == 0, ended.stderr
    (_, judged) = json.loads(ended.stdout)
    planes_um = judged["plan"]["planes_um"]
    assert (len(planes_um), planes_um[0], planes_um[-1]) == (25, 0.0, 200.0)
    assert judged["warnings"] == []


def test_a_series_tells_how_many_runs_it_makes(site: Site) -> None:
    run = site.run("series.yaml", time_plan={"interval": "0:30:00", "loops": 97})
    ended = site.zstackd("check", run, "--rig", site.rig())
    assert ended.returncode == 0, ended.stderr
    assert "97 like this one, the last one done after 2 d 0 h" in ended.stdout
    (_, judged) = json.loads(site.zstackd("check", "--json", run, "--rig", site.rig()).stdout)
    assert judged["runs"] == 97


@pytest.mark.parametrize(
    ("series", "late"),
    [
        ({"repeat": 100}, False),
        ({"time_plan": {"interval": 1, "loops": 100}}, True),
        ({"time_plan": {"interval": "1:00:00", "loops": 2}}, False),
    ],
)
def test_a_series_is_estimated_by_how_long_its_runs_take(
    site: Site, series: dict[str, Any], late: bool
) -> None:
    ended = site.zstackd("check", site.run("series.yaml", **series), "--rig", site.rig())
    assert ended.returncode == 0, ended.stderr
    said = " ".join(ended.stdout.split())
    assert ("late: a run takes longer than from one to the next" in said) == late
    assert not re.search(r"100 like this one, the last one done after \d+ s", said)


def test_a_wrong_rig_is_told_beside_wrong_runs(site: Site) -> None:
    rig = site.rig("bad-rig.yaml", focus={"driver": "gbrl"})
    ended = site.zstackd("check", "--json", site.run(repeat=0), "--rig", rig)
    assert ended.returncode == 2
    first, second = json.loads(ended.stdout)
    assert "did you mean 'grbl'?" in first["errors"][0]
    assert "repeat: 0 is out of bounds" in second["errors"][0]


def test_a_pixel_of_no_sensor_is_warned_of_and_refused_nowhere(site: Site) -> None:
    rig, run = site.rig(optics={"pixel_size_um": 155, "magnification": 10}), site.run()
    doubt = r"rig\.yaml:\d+:\d+: optics\.pixel_size_um: 155 µm at magnification 10 would be 1550 µm"
    checked = site.zstackd("check", "--rig", rig)
    assert checked.returncode == 0
    assert re.search(f"^warning: .*{doubt}", checked.stderr)
    (judged,) = json.loads(site.zstackd("check", "--json", "--rig", rig).stdout)
    assert (judged["ok"], len(judged["warnings"])) == (True, 1)
    assert re.search(doubt, site.zstackd("doctor", "--rig", rig).stdout)
    ran = site.zstackd("run", run, "--rig", rig)
    assert ran.returncode == 0
    assert len(re.findall(doubt, ran.stderr)) == 1
    with site.serving(rig) as process:
        assert len(re.findall(doubt, site.log())) == 1
        with site.client() as client:
            client.post("/v1/reload")
        assert len(re.findall(doubt, site.log())) == 2
        site.stop(process)


def test_nothing_to_check(site: Site) -> None:
    assert site.zstackd("check").returncode == 2
