"""The stacking method that a run asks for is the one that makes its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from zstackd_stacking.files.images import load_image

if TYPE_CHECKING:
    from tests.e2e.conftest import Site

    from zstackd_stacking import Image


Z_PLAN = {"bottom": 0, "top": 200, "step": 40}
PROJECTIONS = {"average", "maximum"}
WITHOUT_HEIGHTS = {"image", "preview", "focus_curve"}


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("laplacian", ()),
        ("depthmap", ()),
        ("far", ("--near", "last")),
        ("average", ()),
        ("maximum", ()),
    ],
)
def test_the_method_of_the_run_makes_the_result(
    site: Site, method: str, words: tuple[str, ...]
) -> None:
    stacking = {"method": method, "reference": "first"}
    run = site.run(z_plan=Z_PLAN, stacking=stacking, output={"format": "png"})
    rig = site.rig(frames={"format": "png"})
    ended = site.zstackd("run", run, "--rig", rig)
    assert ended.returncode == 0, ended.stderr
    result, manifest = site.published()
    assert manifest["stacking_method"] == method
    roles = {file["role"] for file in manifest["files"]}
    assert (roles == WITHOUT_HEIGHTS) == (method in PROJECTIONS)
    assert (result / "depth.tif").exists() == (method not in PROJECTIONS)
    again = stacked_again(site, "--method", method, *words)
    assert np.array_equal(load_image(result / "stack.png").image, again)


@pytest.mark.parametrize(("viewed_from", "nearest"), [("above", "last"), ("below", "first")])
def test_near_is_where_the_rig_looks_from(site: Site, viewed_from: str, nearest: str) -> None:
    run = site.run(
        z_plan=Z_PLAN,
        stacking={"method": "near", "reference": "first"},
        output={"format": "png"},
    )
    rig = site.rig(frames={"format": "png"}, optics={"viewed_from": viewed_from})
    ended = site.zstackd("run", run, "--rig", rig)
    assert ended.returncode == 0, ended.stderr
    result, manifest = site.published()
    assert manifest["stacking_method"] == "near"
    image = load_image(result / "stack.png").image
    other = "first" if nearest == "last" else "last"
    assert np.array_equal(image, stacked_again(site, "--method", "near", "--near", nearest))
    assert not np.array_equal(image, stacked_again(site, "--method", "near", "--near", other))


def test_extras_made_of_heights_are_refused_with_a_projection(site: Site) -> None:
    run = site.run(stacking={"method": "average"}, output={"extras": ["focus_curve", "mesh"]})
    ended = site.zstackd("check", run)
    assert ended.returncode == 2
    assert "the extra mesh is made of heights" in ended.stderr + ended.stdout
    assert "stacking.method average" in ended.stderr + ended.stdout


def stacked_again(site: Site, *words: str) -> Image:
    """Stack the run's frames as files; returns the image."""
    (frames,) = site.state.glob("runs/*/frames")
    image = site.folder / f"again_{'_'.join(words)}.png"
    words = ("--reference", "first", "--z-step-um", "40", *words)
    ended = site.zstackd("stack", "-i", frames, "-o", image, *words)
    assert ended.returncode == 0, ended.stderr
    return load_image(image).image
