"""`zstackd stack` writes all it knows: heights, relief, mesh, aligned frames, report."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
import tifffile
import trimesh
from numpy.typing import NDArray
from PIL import Image as PillowImage

from zstackd.stack_command.options import METHODS
from zstackd_stacking.types import Method

Stack = Callable[..., subprocess.CompletedProcess[str]]
Floats = NDArray[np.float32]

STEP_UM, PIXEL_UM, EXPOSURE_S = 5.0, 2.0, 0.025
COUNT, HEIGHT, WIDTH = 9, 180, 240
SHIFT_PX = 3


def surface() -> tuple[Floats, Floats]:
    """A textured picture, and its heights in planes: level, rising to the right from 1 to 7."""
    rng = np.random.default_rng(6)
    size = (HEIGHT, WIDTH)
    texture = sum(
        cv2.GaussianBlur(rng.standard_normal(size).astype(np.float32), (0, 0), sigma) * sigma
        for sigma in (0.8, 2.0, 5.0)
    )
    heights = np.tile(np.linspace(1, 7, WIDTH, dtype=np.float32), (HEIGHT, 1))
    return np.clip(np.asarray(130 + 60 * texture, np.float32), 0, 255), heights


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Nine planes of the surface as JPEG with EXIF; each moved 3 pixels further to the right."""
    folder = tmp_path / "frames"
    folder.mkdir()
    sharp, heights = surface()
    for plane in range(COUNT):
        blurs = [cv2.GaussianBlur(sharp, (0, 0), 0.3 + 0.9 * level) for level in range(10)]
        distance = np.clip(np.abs(heights - plane), 0, 8.99)
        whole = distance.astype(int)
        part = distance - whole
        rows, columns = np.indices(heights.shape)
        stacked = np.stack([np.asarray(blur, np.float32) for blur in blurs])
        near, far = stacked[whole, rows, columns], stacked[whole + 1, rows, columns]
        image = near * (1 - part) + far * part
        image = np.roll(image, SHIFT_PX * (plane - COUNT // 2), axis=1)
        exif = PillowImage.Exif()
        exif[0x010F] = "Maker"
        exif.get_ifd(0x8769)[0x829A] = EXPOSURE_S
        colours = np.repeat(np.rint(image).astype(np.uint8)[..., np.newaxis], 3, axis=2)
        PillowImage.fromarray(colours).save(folder / f"z{plane + 1}.jpg", quality=97, exif=exif)
    return folder


SCALES = ["--z-step-um", f"{STEP_UM}", "--pixel-size-um", f"{PIXEL_UM}"]


def test_everything_at_once(stack: Stack, frames: Path, tmp_path: Path) -> None:
    names = {
        "depth": "d.tif", "confidence": "c.tif", "relief": "r.png", "mesh": "m.ply",
        "aligned": "a.ome.tif", "report": "report.json",
    }  # fmt: skip
    words = [word for role, name in names.items() for word in (f"--{role}", name)]
    done = stack("-i", frames, "-o", "out.ome.tif", *words, "--report", "curve.png", *SCALES)
    for name in (*names.values(), "out.ome.tif", "curve.png"):
        assert name in done.stdout
        assert (tmp_path / name).stat().st_size > 1000
    _check_heights(tmp_path)
    _check_mesh(tmp_path / "m.ply")
    _check_ome(tmp_path)
    _check_report(tmp_path / "report.json")


def _check_heights(folder: Path) -> None:
    _, planes = surface()
    inner = (slice(20, -20), slice(40, -40))
    with tifffile.TiffFile(folder / "d.tif") as file:
        found = file.asarray()
        assert file.pages.first.tags["XResolution"].value[0] == 5000
    assert found.dtype == np.float32
    assert np.median(np.abs(found - planes * STEP_UM)[inner]) < STEP_UM / 2
    with tifffile.TiffFile(folder / "c.tif") as file:
        sure = file.asarray()
        assert "0 (filled in) to 1 (measured)" in file.pages.first.description
    assert 0 <= sure.min() <= sure.max() <= 1
    with PillowImage.open(folder / "r.png") as relief:
        assert relief.height > relief.width * HEIGHT / WIDTH


def _check_mesh(path: Path) -> None:
    mesh = trimesh.load_mesh(path, process=False)
    assert len(mesh.vertices) == HEIGHT * WIDTH
    size = np.ptp(mesh.vertices[:, :2], axis=0)
    np.testing.assert_allclose(size, ((WIDTH - 1) * PIXEL_UM, (HEIGHT - 1) * PIXEL_UM))
    left, right = mesh.vertices[:, 0] < 160, mesh.vertices[:, 0] > 320
    assert np.median(mesh.vertices[right, 2]) - np.median(mesh.vertices[left, 2]) > 2 * STEP_UM


def _check_ome(folder: Path) -> None:
    with tifffile.TiffFile(folder / "out.ome.tif") as file:
        about = file.ome_metadata or ""
        assert file.series[0].shape == (HEIGHT, WIDTH, 3)
        assert file.pages.first.tags["Make"].value == "Maker"
    for words in ('PhysicalSizeX="2.0"', 'PhysicalSizeZ="5.0"', 'ExposureTime="0.025"'):
        assert words in about
    with tifffile.TiffFile(folder / "a.ome.tif") as file:
        about = file.ome_metadata or ""
        assert file.series[0].axes == "ZYXS"
        planes = file.asarray()
    assert len(planes) == COUNT
    assert about.count('ExposureTime="0.025"') == COUNT
    assert 'TheZ="8" TheT="0" ExposureTime="0.025" ExposureTimeUnit="s" PositionZ="40.0"' in about
    inner = np.s_[:, 20:-20, 40:-40, 0]
    still = np.asarray(planes[inner], np.float32)
    smooth = [cv2.GaussianBlur(plane, (0, 0), 4) for plane in still]
    for plane in smooth:
        assert float(np.mean(np.abs(plane - smooth[COUNT // 2]))) < 4


def _check_report(path: Path) -> None:
    told = json.loads(path.read_text())
    assert told["depth_unit"] == "um"
    assert told["focus_curve"]["z"] == [STEP_UM * plane for plane in range(COUNT)]
    assert told["left_out"] == []
    assert told["cut_off"] == []
    moved = [frame["transform"][0][2] for frame in told["frames"]]
    np.testing.assert_allclose(np.diff(moved), -SHIFT_PX, atol=1.5)
    assert all(frame["residual_px"] is not None for frame in told["frames"])


def test_a_stack_taken_downward_has_its_heights_the_right_way(
    stack: Stack, frames: Path, tmp_path: Path
) -> None:
    stack("-i", frames, "-o", "out.png", "--depth", "d.tif", "--z-step-um", "-5")
    heights = tifffile.imread(tmp_path / "d.tif")
    assert -40 <= heights.min() <= heights.max() <= 0
    assert np.median(heights[:, 180:]) < np.median(heights[:, :60]) - 15


def test_a_range_that_is_too_short_is_warned_of(stack: Stack, frames: Path) -> None:
    for plane in range(6, COUNT + 1):
        (frames / f"z{plane}.jpg").unlink()
    done = stack("-i", frames, "-o", "out.png", "--depth", "d.tif", *SCALES, "--quiet")
    (line,) = done.stderr.splitlines()
    assert line.startswith("warning: ")
    assert "extend the range by 10 µm above it, to 30 µm" in line


def test_a_relief_stands_out_towards_the_end_that_is_near(
    stack: Stack, frames: Path, tmp_path: Path
) -> None:
    """Without heights the first frame is the nearest, as for the method near."""

    def relief(name: str, *words: str) -> bytes:
        stack("-i", frames, "-o", "s.png", "--relief", f"{name}.png", *words)
        return (tmp_path / f"{name}.png").read_bytes()

    assert relief("unsaid") == relief("first", "--near", "first") != relief("l", "--near", "last")
    high = "--z-step-um", "2"
    assert relief("high", *high) == relief("h", *high, "--near", "last")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mesh", "m.ply"], "m.ply: a mesh is in µm: give --pixel-size-um and --z-step-um"),
        (["--mesh", "m.stl", *SCALES], "m.stl: the mesh is written as .ply or .glb"),
        (["--aligned", "a.tif"], "a.tif: the aligned z-stack is written as .ome.tif or .ome.tiff"),
        (["--report", "r.txt"], "r.txt: the report is written as .json or .png"),
        (["--relief", "r.tif"], "r.tif: the relief is written as .png, .jpg or .jpeg"),
        (["--confidence", "c.jpg"], "c.jpg: the confidence is written as .tif, .tiff or .png"),
        (
            ["--relief", "r.png", "--method", "average"],
            "r.png: the method average measures no heights; choose another one, or leave --relief",
        ),
        (
            ["--near", "last"],
            "--near last: only the methods near and far and --relief go by it, not pyramid",
        ),
        (
            ["--memory", "low", "--method", "near"],
            "--memory low: the method near takes no less by it; only pyramid does: leave it out",
        ),
        (["--mesh-vertices", "1"], "--mesh-vertices 1: must be 4 to 20000000"),
        (["--relief", "gone/r.png"], "does not exist; create it first"),
        (["--report", "r.png", "--relief", "r.png"], "r.png: named for two outputs"),
        (["--report", "frames/z3.jpg"], "z3.jpg: the report is written as"),
        (["--relief", "frames/z3.jpg"], "is one of the input frames"),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_any_is_written(
    stack: Stack, frames: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    done = stack("-i", frames, "-o", "out.png", *words, status=2)
    (line,) = done.stderr.splitlines()
    assert said in line
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


def test_an_output_must_be_named(stack: Stack, frames: Path) -> None:
    (line,) = stack("-i", frames, status=2).stderr.splitlines()
    assert line == "zstackd stack: no output named; add -o FILE, such as -o stack.png"


def test_the_methods_offered_are_the_methods_there_are() -> None:
    assert set(METHODS) == set(get_args(Method))


def test_names_that_are_no_text_reach_every_output(
    stack: Stack, frames: Path, tmp_path: Path
) -> None:
    """A name may have bytes that are no UTF-8, and signs that XML does not hold."""
    for path in frames.iterdir():
        path.rename(os.fsdecode(os.fsencode(path.parent) + b"/\xff\x01<&" + os.fsencode(path.name)))
    words = ["--aligned", "a.ome.tif", "--report", "r.json", *SCALES]
    stack("-i", frames, "-o", os.fsdecode(b"out\xff.ome.tif"), *words)
    for name in (os.fsdecode(b"out\xff.ome.tif"), "a.ome.tif"):
        with tifffile.TiffFile(tmp_path / name) as file:
            assert "z1.jpg" in str(tifffile.xml2dict(file.ome_metadata or ""))
    told = json.loads((tmp_path / "r.json").read_text())
    assert told["frames"][0]["name"] == os.fsdecode(b"\xff\x01<&z1.jpg")
