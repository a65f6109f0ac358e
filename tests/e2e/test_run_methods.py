"""The stacking method that a run asks for is the one that makes its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zstackd_stacking.images import load_image

if TYPE_CHECKING:
    from tests.e2e.conftest import Site


def test_the_method_of_the_run_makes_the_result(site: Site) -> None:
    stacking = {"method": "laplacian", "reference": "first"}
    run = site.run(
        z_plan={"bottom": 0, "top": 200, "step": 40}, stacking=stacking, output={"format": "png"}
    )
    rig = site.rig(frames={"format": "png"})
    ended = site.zstackd("run", run, "--rig", rig)
    assert ended.returncode == 0, ended.stderr
    result, manifest = site.published()
    assert manifest["stacking_method"] == "laplacian"
    (frames,) = site.state.glob("runs/*/frames")
    again = site.folder / "again.png"
    options = ("--method", "laplacian", "--reference", "first")
    assert site.zstackd("stack", "-i", frames, "-o", again, *options).returncode == 0
    assert np.array_equal(load_image(result / "stack.png").image, load_image(again).image)
