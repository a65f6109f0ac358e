"""A run publishes whatever files its `output` section asks for."""

from typing import TYPE_CHECKING

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


def test_a_range_that_cuts_the_specimen_off_is_warned_of(site: "Site") -> None:
    rig = site.rig(camera={"size_px": [256, 192]})
    run = site.run(z_plan={"bottom": 80, "top": 130, "step": 10})
    done = site.zstackd("run", run, "--rig", rig)
    assert done.returncode == 0, done.stderr
    _, manifest = site.published()
    assert any("µm above it, to" in warning for warning in manifest["warnings"])
    assert all(f"warning: {warning}" in done.stdout for warning in manifest["warnings"])
