"""Further files of a result: OME-TIFF of the fused image and the aligned frames."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from zstackd_stacking import FrameReport, StackReport, StackResult
from zstackd_stacking.files.products import Scale, write_aligned_stack, write_fused_ome
from zstackd_stacking.report import z_step_of
from zstackd_stacking.types import Image, as_floats, as_image

RNG = np.random.default_rng(12)
FRAMES = RNG.integers(1, 256, (4, 60, 80, 3), dtype=np.uint8)
SCALE = Scale(0.5, 2.0)


def frame(index: int, shift_px: float = 0.0, *, used: bool = True) -> FrameReport:
    matrix = ((1.0, 0.0, shift_px), (0.0, 1.0, 0.0))
    return FrameReport(index, f"z{index}.png", 2.0 * index, 1.0 + index, matrix, 0.1, used, "")


@pytest.fixture
def result() -> StackResult:
    """Of four frames the second is moved by 5 px, the third left out."""
    frames = (frame(0), frame(1, 5.0), frame(2, used=False), frame(3))
    heights = as_floats(np.linspace(0, 6, 4800).reshape(60, 80))
    report = StackReport("pyramid", 0, frames)
    return StackResult(as_image(FRAMES[0]), heights, np.ones_like(heights), report)


def load(index: int) -> Image:
    return as_image(FRAMES[index])


def test_aligned_frames_are_moved_and_those_left_out_are_missing(
    tmp_path: Path, result: StackResult
) -> None:
    path = tmp_path / "a.ome.tif"
    write_aligned_stack(
        path, result, SCALE, load=load, exposure_s=lambda index: index + 0.5, profile=b"profile"
    )
    with tifffile.TiffFile(path) as file:
        planes = file.asarray()[..., ::-1]
        about = file.ome_metadata or ""
        assert file.pages.first.iccprofile == b"profile"
    assert planes.shape == (3, 60, 80, 3)
    np.testing.assert_array_equal(planes[0], FRAMES[0])
    np.testing.assert_array_equal(planes[2], FRAMES[3])
    np.testing.assert_array_equal(planes[1][:, 5:], FRAMES[1][:, :-5])
    assert not planes[1][:, :5].any()
    for words in ('PositionZ="6.0"', 'ExposureTime="3.5"', "z0.png z1.png z3.png"):
        assert words in about
    assert "z2.png" not in about


def test_the_fused_image_notes_heights_and_exposures_of_all_frames_used(
    tmp_path: Path, result: StackResult
) -> None:
    path = tmp_path / "a.ome.tif"
    write_fused_ome(path, result, SCALE, exposure_s=lambda _: 0.25)
    with tifffile.TiffFile(path) as file:
        about = file.ome_metadata or ""
        np.testing.assert_array_equal(file.asarray()[..., ::-1], FRAMES[0])
    assert '<M K="z_um">0 2 6</M>' in about
    assert '<M K="exposure_s">0.25 0.25 0.25</M>' in about
    assert 'PositionZ="0.0"' in about


def test_the_fused_image_stands_at_the_height_of_its_reference(
    tmp_path: Path, result: StackResult
) -> None:
    path = tmp_path / "a.ome.tif"
    about_last = replace(result, report=replace(result.report, reference_index=3))
    write_fused_ome(path, about_last, SCALE, exposure_s=lambda index: index + 0.5)
    with tifffile.TiffFile(path) as file:
        about = file.ome_metadata or ""
    assert 'PositionZ="6.0"' in about
    assert 'ExposureTime="3.5"' in about


def test_unknown_exposures_are_not_invented(tmp_path: Path, result: StackResult) -> None:
    path = tmp_path / "a.ome.tif"
    write_fused_ome(path, result, Scale(), exposure_s={1: 0.25}.get)
    with tifffile.TiffFile(path) as file:
        about = file.ome_metadata or ""
    assert "xposure" not in about
    assert "PhysicalSize" not in about


def test_the_step_is_the_usual_distance_between_frames(result: StackResult) -> None:
    assert z_step_of(result.report) == 2
    assert z_step_of(replace(result.report, frames=result.report.frames[:1])) is None
