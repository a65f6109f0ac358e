"""`zstackd stack` with files that hold a whole z-stack, alone and in batches."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

Stack = Callable[..., subprocess.CompletedProcess[str]]

SCALE = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 3.0}


def planes(count: int = 4, seed: int = 1) -> Any:
    """RGB planes of which each is sharp in one vertical strip."""
    noise = np.random.default_rng(seed).standard_normal((90, 120, 3)).astype(np.float32)
    sharp = np.clip(128 + 150 * cv2.GaussianBlur(noise, (0, 0), 1.5), 0, 255).astype(np.uint8)
    frames = []
    for index in range(count):
        frame = cv2.GaussianBlur(sharp, (0, 0), 2)
        strip = slice(index * 120 // count, (index + 1) * 120 // count)
        frame[:, strip] = sharp[:, strip]
        frames.append(frame)
    return np.stack(frames)


def write(path: Path, axes: str = "ZYXS", seed: int = 1, **model: Any) -> Path:
    told = {"axes": axes, **SCALE, **model}
    tifffile.imwrite(path, planes(seed=seed), ome=True, photometric="rgb", metadata=told)
    return path


def scale(done: subprocess.CompletedProcess[str]) -> list[Any]:
    said = json.loads(done.stdout)["scale"]
    keys = ("pixel_size_um", "pixel_size_from", "z_step_um", "z_step_from")
    assert set(said) == set(keys)
    return [said[key] for key in keys]


def test_a_file_becomes_one_image_with_heights_at_its_own_scale(
    stack: Stack, tmp_path: Path
) -> None:
    write(tmp_path / "s.ome.tif")
    words = ["--depth", "d.tif", "--mesh", "m.ply", "--report", "r.json", "--no-align"]
    done = stack("s.ome.tif", "-o", "out.png", *words, "--json")
    assert done.stderr == "s.ome.tif: 4 planes, pixel size 0.5 µm and z step 3 µm by its OME-XML\n"
    assert scale(done) == [0.5, "OME-XML", 3.0, "OME-XML"]
    report = json.loads((tmp_path / "r.json").read_text())
    assert [frame["name"] for frame in report["frames"]] == [f"s.ome.tif:{z}" for z in range(1, 5)]
    assert [frame["z_um"] for frame in report["frames"]] == [0, 3, 6, 9]
    assert report["scale"]["z_step_from"] == "OME-XML"
    heights = tifffile.imread(tmp_path / "d.tif")
    assert np.median(heights[:, :20]) < 1
    assert np.median(heights[:, 100:]) > 8


def test_it_is_the_image_that_files_of_their_own_make(stack: Stack, tmp_path: Path) -> None:
    write(tmp_path / "s.ome.tif")
    for index, plane in enumerate(planes()):
        cv2.imwrite(str(tmp_path / f"z{index}.png"), plane[..., ::-1])
    sizes = ["--pixel-size-um", "0.5", "--z-step-um", "3"]
    stack("s.ome.tif", "-o", "together.png")
    done = stack(*sorted(tmp_path.glob("z*.png")), "-o", "apart.png", *sizes, "--json")
    assert (tmp_path / "together.png").read_bytes() == (tmp_path / "apart.png").read_bytes()
    assert scale(done) == [0.5, "--pixel-size-um", 3.0, "--z-step-um"]


def test_the_command_line_wins_over_the_file(stack: Stack, tmp_path: Path) -> None:
    write(tmp_path / "s.ome.tif")
    done = stack("s.ome.tif", "-o", "out.png", "--z-step-um", "-2", "--json")
    assert scale(done) == [0.5, "OME-XML", -2.0, "--z-step-um"]
    assert json.loads(done.stdout)["frames"][3]["z_um"] == -6
    assert stack("s.ome.tif", "-o", "out.png", "-q").stderr == ""


def test_aligned_planes_can_be_stacked_again_at_their_own_heights(
    stack: Stack, tmp_path: Path
) -> None:
    """A frame in the midst was left out, and heights go down."""
    path = tmp_path / "s.ome.tif"
    pixels = planes()
    pixels[2] = 90
    tifffile.imwrite(path, pixels, photometric="rgb", metadata={"axes": "ZYXS", **SCALE})
    words = ["--aligned", "a.ome.tif", "--z-step-um", "-3"]
    assert "s.ome.tif:3: left out" in stack(path, "-o", "out.png", *words).stderr
    done = stack("a.ome.tif", "-o", "again.png", "--json")
    assert scale(done) == [0.5, "OME-XML", -3.0, "OME-XML"]
    assert [frame["z_um"] for frame in json.loads(done.stdout)["frames"]] == [0, -3, -9]
    assert "a.ome.tif: 3 planes, pixel size 0.5 µm and z step -3 µm (uneven)" in done.stderr


def test_the_file_is_never_overwritten(stack: Stack, tmp_path: Path) -> None:
    path = write(tmp_path / "s.ome.tif")
    before = path.read_bytes()
    (tmp_path / "link.tif").hardlink_to(path)
    for output in ("s.ome.tif", "link.tif"):
        done = stack("s.ome.tif", "-o", output, "-q", status=2)
        assert "is one of the input frames" in done.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("axes", "said"), [("CYXS", "holds 4 channels"), ("TYXS", "holds 4 time points")]
)
def test_channels_and_time_points_are_one_line(
    stack: Stack, tmp_path: Path, axes: str, said: str
) -> None:
    write(tmp_path / "s.ome.tif", axes)
    (line,) = stack("s.ome.tif", "-o", "out.png", status=2).stderr.splitlines()
    assert line.startswith(f"s.ome.tif: {said}; a z-stack has 1: ")


def test_a_z_stack_among_other_frames_is_told_how_to_be_stacked(
    stack: Stack, tmp_path: Path
) -> None:
    write(tmp_path / "a.ome.tif")
    write(tmp_path / "b.ome.tif")
    (line,) = stack("a.ome.tif", "b.ome.tif", "-o", "out.png", status=2).stderr.splitlines()
    assert line.startswith("a.ome.tif: holds 4 images, where frames are one image per file; ")
    assert "--batch" in line


def test_a_batch_takes_files_and_folders_and_never_its_own_results(
    stack: Stack, tmp_path: Path
) -> None:
    folder = tmp_path / "slides"
    (folder / "s2").mkdir(parents=True)
    write(folder / "s1.ome.tif")
    write(folder / "s10.tif", seed=3, PhysicalSizeZ=7.0)
    write(folder / "s2" / "whole.tif", seed=2)
    (folder / "cut.tif").write_bytes((folder / "s10.tif").read_bytes()[:5000])
    words = ["--no-align", "--aligned", folder / "{name}_aligned.ome.tif", "--json"]
    for _ in range(2):
        told = json.loads(stack("--batch", folder, *words, status=1).stdout)
        assert [Path(one["folder"]).name for one in told["stacks"]] == [
            "cut.tif", "s1.ome.tif", "s2", "s10.tif",
        ]  # fmt: skip
        assert told["failed"] == ["cut"]
        assert [one["scale"]["z_step_um"] for one in told["stacks"][1:]] == [3, 3, 7]
        assert {path.name for path in folder.glob("*.png")} == {"s1.png", "s2.png", "s10.png"}


def test_stacks_whose_results_would_have_one_name_are_refused(stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    for name in ("s1.ome.tif", "s1.tif"):
        write(folder / name)
    (line,) = stack("--batch", folder, status=2).stderr.splitlines()
    assert "its results would be named s1, as would those of" in line
    assert not list(folder.glob("*.png"))
