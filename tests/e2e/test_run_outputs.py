"""A run publishes whatever files its `output` section asks for."""

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import trimesh

if TYPE_CHECKING:
    from tests.e2e.conftest import Site

EXTRAS = ["confidence", "relief", "mesh", "focus_curve"]
STEP_UM, PLANES = 25, 9


def test_ome_tiff_and_every_extra_are_published_and_named(site: "Site") -> None:
    rig = site.rig(camera={"size_px": [256, 192]})
    run = site.run(
        z_plan={"bottom": 0, "top": 200, "step": STEP_UM},
        output={"format": "ome.tif", "extras": EXTRAS},
    )
    done = site.zstackd("run", run, "--rig", rig)
    assert done.returncode == 0, done.stderr
    result, manifest = site.published()
    roles = {file["name"]: file["role"] for file in manifest["files"]}
    assert roles == {
        "stack.ome.tif": "image", "preview.jpg": "preview", "depth.tif": "depth",
        "depth.png": "depth_picture", "confidence.tif": "confidence", "relief.png": "relief",
        "mesh.ply": "mesh", "focus_curve.png": "focus_curve",
    }  # fmt: skip
    assert all(name in done.stdout for name in roles)
    exposure_s = manifest["frames"][PLANES // 2]["exposure"]["exposure_time_ms"] / 1000
    with tifffile.TiffFile(result / "stack.ome.tif") as file:
        about = file.ome_metadata
    assert about is not None
    for words in (
        'PhysicalSizeX="1.2"', 'PhysicalSizeZ="25.0"', 'PositionZ="100.0"',
        f'ExposureTime="{exposure_s}"',
    ):  # fmt: skip
        assert words in about
    mesh = trimesh.load_mesh(result / "mesh.ply", process=False)
    assert len(mesh.vertices) == 256 * 192
    assert mesh.bounds[1][0] < 256 * 1.2


def test_planes_closer_than_motor_steps_are_warned_of_and_told_as_they_were(site: "Site") -> None:
    rig = site.rig(camera={"size_px": [64, 48]}, focus={"um_per_unit": 100})
    run = site.run(z_plan={"bottom": 100, "top": 100.5, "step": 0.1})
    done = site.zstackd("run", run, "--rig", rig)
    assert done.returncode == 0, done.stderr
    _, manifest = site.published()
    warning = manifest["warnings"][0]
    assert warning.startswith("z_plan: planes lie 0.1 µm apart, but a motor step is 0.25 µm: ")
    assert f"{manifest['run_id']}: {warning}\n" in done.stderr
    assert f"warning: {warning}\n" in done.stdout
    keys = ("commanded_um", "reported_um", "z_um")
    asked, told, known = ([frame[key] for frame in manifest["frames"]] for key in keys)
    assert asked == pytest.approx([100, 100.1, 100.2, 100.3, 100.4, 100.5])
    assert told == pytest.approx([100, 100, 100.25, 100.25, 100.5, 100.5], abs=0.051)
    assert known == pytest.approx([100, 100, 100.25, 100.25, 100.5, 100.5])


def test_heights_count_from_motor_steps_and_stacking_the_frames_again_agrees(
    site: "Site",
) -> None:
    rig = site.rig(camera={"size_px": [256, 192]}, optics={"breathing_per_mm": 0.0})
    run = site.run(
        z_plan={"bottom": 0.1, "top": 200, "step": 16.6},
        output={"format": "ome.tif"},
    )
    assert site.zstackd("run", run, "--rig", rig).returncode == 0
    result, manifest = site.published()
    frames = manifest["frames"]
    heights = [frame["z_um"] for frame in frames]
    assert all(height % 0.25 == 0 for height in heights)
    assert heights != [frame["commanded_um"] for frame in frames]
    assert all(abs(one["z_um"] - one["commanded_um"]) <= 0.125001 for one in frames)
    assert all(abs(one["z_um"] - one["reported_um"]) <= 0.500001 for one in frames)
    with tifffile.TiffFile(result / "stack.ome.tif") as file:
        about = file.ome_metadata
    assert about is not None
    assert f'PositionZ="{heights[manifest["reference_plane"]]}"' in about
    again, depth = site.folder / "again.json", site.folder / "again.tif"
    stored = site.state / "runs" / manifest["run_id"] / "frames"
    words = ("-o", site.folder / "again.png", "--report", again, "--depth", depth)
    done = site.zstackd("stack", "-i", stored, *words)
    assert done.returncode == 0, done.stderr
    assert [frame["z_um"] for frame in json.loads(again.read_text())["frames"]] == heights
    apart_um = np.abs(tifffile.imread(depth) - tifffile.imread(result / "depth.tif"))
    assert np.median(apart_um) < 0.01


def test_a_range_that_cuts_the_specimen_off_is_warned_of(site: "Site") -> None:
    rig = site.rig(camera={"size_px": [256, 192]})
    run = site.run(z_plan={"bottom": 80, "top": 130, "step": 10})
    done = site.zstackd("run", run, "--rig", rig)
    assert done.returncode == 0, done.stderr
    _, manifest = site.published()
    assert any("µm above it, to" in warning for warning in manifest["warnings"])
    assert all(f"warning: {warning}" in done.stdout for warning in manifest["warnings"])


def test_a_run_of_one_plane_is_a_look_at_the_specimen(site: "Site") -> None:
    rig = site.rig(camera={"size_px": [64, 48]})
    done = site.zstackd("run", site.run(z_plan={"absolute": [90]}), "--rig", rig)
    assert done.returncode == 0, done.stderr
    assert "A small run: 1 plane at 90 µm in " in done.stdout
    result, _ = site.published()
    assert (result / "preview.jpg").exists()
