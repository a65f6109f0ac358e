"""Files are found, sorted as people count, checked by their headers, and read ahead."""

import threading
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage

from zstackd_config.errors import InputError
from zstackd_stacking import FrameReport, StackOptions
from zstackd_stacking.files.frames import (
    find_frames,
    frame_order,
    read_ahead,
    require_alike,
    stack_files,
)
from zstackd_stacking.files.images import Loaded, load_image
from zstackd_stacking.files.natural import natural_order
from zstackd_stacking.files.output import write_image
from zstackd_stacking.order import Reference
from zstackd_stacking.types import Image, Memory, Method

RNG = np.random.default_rng(9)


def noise(height: int = 48, width: int = 64) -> Image:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def frames(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"z{number}.png" for number in range(5)]
    for path in paths:
        write_image(path, noise())
    return paths


def test_a_folder_s_images_are_found_in_natural_order_and_nothing_else(tmp_path: Path) -> None:
    for name in ("z10.JPG", "z9.png", "z1.tiff", "notes.txt", ".hidden.png", "z2.jpeg"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    found = [path.name for path in find_frames(tmp_path)]
    assert found == ["z1.tiff", "z2.jpeg", "z9.png", "z10.JPG"]


def test_a_folder_that_is_missing_or_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        find_frames(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder"):
        find_frames(tmp_path / "file")


@given(st.lists(st.integers(0, 10**30), unique=True), st.randoms())
def test_numbers_of_any_length_sort_as_numbers(numbers: list[int], random: object) -> None:
    del random
    paths = [Path(f"/nowhere/frame {number} of many.jpg") for number in numbers]
    assert natural_order(paths) == [
        Path(f"/nowhere/frame {number} of many.jpg") for number in sorted(numbers)
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["z-10.tif", "z-5.tif", "z0.tif", "z5.tif", "z10.tif"],
        ["-2.tif", "-1.tif", "0.tif", "1.tif"],
        ["run-7 z-1 um.tif", "run-7 z1 um.tif", "run-12 z-1 um.tif"],
        ["img-1.jpg", "img-2.jpg", "img-10.jpg"],
        ["z1-1.jpg", "z1-2.jpg", "z1.jpg", "z2.jpg"],
    ],
)
def test_a_hyphen_is_a_sign_where_numbers_stand_without_it_too(names: list[str]) -> None:
    paths = [Path("/stack-3") / name for name in names]
    assert natural_order(reversed(paths)) == paths


@pytest.mark.parametrize(
    "names",
    [
        ["z_1.25.png", "z_1.5.png", "z_10.25.png"],
        ["z_0.png", "z_0.5.png", "z_1.png", "z_1.25.png", "z_2.png"],
        ["z0.05.tif", "z0.10.tif", "z0.2.tif", "z0.5.tif"],
        ["z1.10um.tif", "z1.15um.tif", "z1.2um.tif"],
        ["z-1.5 µm.tif", "z-1.25 µm.tif", "z0.0 µm.tif", "z0.5 µm.tif"],
        ["img_1.2.png", "img_1.9.png", "img_1.10.png", "img_1.11.png", "img_2.1.png"],
        ["2026.1.9.png", "2026.1.10.png", "2026.10.1.png"],
        ["s1.20 z1.png", "s1.20 z1.5.png", "s1.20 z2.png"],
    ],
)
def test_a_point_is_a_decimal_one_unless_numbers_are_counted_on(names: list[str]) -> None:
    paths = [Path("/stack.3") / name for name in names]
    assert natural_order(reversed(paths)) == paths


@given(st.lists(st.integers(-2000, 2000), unique=True, min_size=2))
def test_heights_sort_as_heights_however_python_writes_them(steps: list[int]) -> None:
    """Fractions of one to three digits, as of a range of planes with a step."""
    heights = sorted(step / 8 for step in steps)
    if heights[-1] <= 0:  # without one that has no sign, a hyphen is none
        heights.append(0.125)
    paths = [Path(f"/nowhere/z{height}.tif") for height in heights]
    assert natural_order(reversed(paths)) == paths


def test_a_file_named_twice_is_one_frame(frames: list[Path], tmp_path: Path) -> None:
    link = tmp_path / "link.png"
    link.symlink_to(frames[0])
    assert len(natural_order([*frames, frames[2], link])) == len(frames)


@pytest.mark.parametrize("reference", ["first", "middle", "last", 1])
def test_the_reference_comes_first_and_every_frame_once(reference: Reference | int) -> None:
    index = {"first": 0, "middle": 3, "last": 6}.get(str(reference), reference)
    methods: tuple[Method, ...] = ("pyramid", "laplacian")
    for method in methods:
        order = frame_order(7, method, reference)
        assert order[0] == index
        assert sorted(order) == list(range(7))


def test_the_classic_method_takes_the_first_frame_as_reference() -> None:
    assert frame_order(4, "laplacian") == (0, 1, 2, 3)
    assert frame_order(4, "laplacian", 2) == (2, 3, 1, 0)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (noise(50, 64), "64 × 50 px"),
        (noise()[..., 0].copy(), "mono"),
        (noise().astype(np.uint16), "16-bit"),
    ],
)
def test_a_frame_unlike_the_others_is_named_with_both_kinds(
    frames: list[Path], odd: Image, said: str
) -> None:
    write_image(frames[3], odd)
    with pytest.raises(InputError) as caught:
        require_alike(frames, 0)
    assert f"{frames[3]}: " in str(caught.value)
    assert said in str(caught.value)
    assert "64 × 48 px 8-bit colour" in str(caught.value)


def test_a_frame_unlike_the_others_is_found_before_any_is_stacked(frames: list[Path]) -> None:
    write_image(frames[4], noise(50, 64))
    seen: list[FrameReport] = []
    with pytest.raises(InputError, match="must be alike"):
        stack_files(frames, on_frame=seen.append)
    assert seen == []


def test_images_come_in_order_and_at_most_one_ahead(
    frames: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Path] = []

    def counted(path: Path, orientation: int | None) -> Loaded:
        begun.append(path)
        return load_image(path, orientation)

    monkeypatch.setattr("zstackd_stacking.files.frames.load_image", counted)
    for number, loaded in enumerate(read_ahead(frames), start=1):
        assert isinstance(loaded, Loaded)
        np.testing.assert_array_equal(loaded.image, load_image(frames[number - 1]).image)
        assert len(begun) <= number + 1
    assert begun == frames


def test_an_error_while_reading_ahead_reaches_the_caller_and_no_thread_stays(
    frames: list[Path],
) -> None:
    frames[2].write_bytes(frames[2].read_bytes()[:-40])
    before = threading.active_count()
    with pytest.raises(InputError, match=r"z2\.png: truncated"):
        list(read_ahead(frames))
    assert threading.active_count() == before


@pytest.mark.parametrize("method", get_args(Method))
def test_one_frame_is_its_own_result(frames: list[Path], method: Method) -> None:
    result = stack_files(frames[:1], StackOptions(method=method))
    np.testing.assert_array_equal(result.image, load_image(frames[0]).image)
    assert len(result.report.frames) == 1


@pytest.mark.parametrize(("z_step_um", "last"), [(2.5, 10.0), (None, None)])
def test_heights_follow_the_z_step(
    frames: list[Path], z_step_um: float | None, last: float | None
) -> None:
    result = stack_files(frames, StackOptions(align=False), z_step_um=z_step_um)
    assert result.report.frames[-1].z_um == last
    assert result.depth_um is not None
    assert result.depth_um.max() <= (last or 4)


def test_no_frames_are_refused() -> None:
    with pytest.raises(InputError, match="no frames"):
        stack_files([])


def test_a_reference_that_is_no_frame_is_refused(frames: list[Path]) -> None:
    with pytest.raises(InputError, match="frames 0 to 4"):
        stack_files(frames, reference=5)


@pytest.mark.parametrize("odd", [3, 6])
@pytest.mark.parametrize("memory", ["normal", "low"])
def test_frames_that_exif_turns_differently_are_turned_alike(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, odd: int, memory: Memory
) -> None:
    """A camera that looks down guesses which way is up, frame by frame."""
    paths = [tmp_path / f"z{number}.png" for number in range(4)]
    picture = PillowImage.fromarray(cv2.GaussianBlur(noise(), (0, 0), 2))
    for path, orientation in zip(paths, (8, odd, 8, 8), strict=True):
        exif = PillowImage.Exif()
        exif[0x0112] = orientation
        picture.save(path, exif=exif)
    result = stack_files(paths, StackOptions(memory=memory))
    assert result.image.shape == (64, 48, 3)
    assert all(frame.used for frame in result.report.frames)
    assert np.abs(result.image.astype(int) - load_image(paths[0]).image).mean() < 2
    assert "EXIF turns some frames otherwise" in caplog.text


def test_frames_that_are_stored_differently_are_each_turned_as_they_say(tmp_path: Path) -> None:
    paths = [tmp_path / f"z{number}.jpg" for number in range(3)]
    picture = PillowImage.fromarray(noise())
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    for path in paths[:2]:
        picture.save(path, quality=95)
    picture.transpose(PillowImage.Transpose.ROTATE_90).save(paths[2], exif=exif, quality=95)
    assert require_alike(paths, 0) is None
