"""The folder camera: natural order, one line for each thing that is wrong."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

import zstackd_config.rig as settings_of
from zstackd_config.run import LockedAutoExposure
from zstackd_drivers.errors import CameraError
from zstackd_drivers.folder_camera import FolderCamera
from zstackd_drivers.image_file import ImageFileError, read_image, read_size_px

AUTO = LockedAutoExposure()
Write = Callable[[str, np.ndarray], Path]


def camera_of(folder: Path, size_px: tuple[int, int] | None = None) -> FolderCamera:
    settings = settings_of.FolderCamera(driver="folder", path=folder, size_px=size_px)
    return FolderCamera(settings=settings)


def grey(value: int, *, width: int = 40, height: int = 30) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def save(name: str, image: np.ndarray) -> Path:
        path = tmp_path / name
        assert cv2.imwrite(str(path), image)
        return path

    return save


def test_files_come_in_natural_order_whatever_their_suffix(write: Write, tmp_path: Path) -> None:
    for value, name in ((30, "z10.png"), (20, "z2.PNG"), (10, "z1.tif"), (40, "z11.jpg")):
        write(name, grey(value))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_text("no image")
    with camera_of(tmp_path) as camera:
        camera.lock_exposure(AUTO)
        frames = [camera.capture(after_ns=0) for _ in range(camera.frame_count())]
    assert [int(frame.image.mean()) for frame in frames] == [10, 20, 30, 40]
    assert [frame.extra["file"] for frame in frames] == ["z1.tif", "z2.PNG", "z10.png", "z11.jpg"]


def test_a_lock_begins_the_folder_anew_and_a_preview_leaves_the_frame(
    write: Write, tmp_path: Path
) -> None:
    for index in range(3):
        write(f"{index}.png", grey(10 * index + 10))
    with camera_of(tmp_path) as camera:
        camera.lock_exposure(AUTO)
        assert camera.preview(after_ns=0).image.mean() == 10
        assert camera.capture(after_ns=0).image.mean() == 10
        assert camera.capture(after_ns=0).image.mean() == 20
        camera.lock_exposure(AUTO)
        assert camera.capture(after_ns=0).image.mean() == 10


@pytest.mark.parametrize(
    ("image", "channels", "bits"),
    [
        (np.full((30, 40), 9, np.uint8), 1, 8),
        (np.full((30, 40), 900, np.uint16), 1, 16),
        (np.full((30, 40, 3), 900, np.uint16), 3, 16),
    ],
)
def test_mono_and_16_bit_files_are_what_they_are(
    write: Write, tmp_path: Path, image: np.ndarray, channels: int, bits: int
) -> None:
    write("a.png", image)
    with camera_of(tmp_path) as camera:
        camera.lock_exposure(AUTO)
        info, frame = camera.info(), camera.capture(after_ns=0)
    assert (info.channels, info.bits) == (channels, bits)
    assert np.array_equal(frame.image, image)


def test_more_planes_than_files_are_refused(write: Write, tmp_path: Path) -> None:
    write("a.png", grey(1))
    with camera_of(tmp_path) as camera:
        camera.lock_exposure(AUTO)
        camera.capture(after_ns=0)
        with pytest.raises(CameraError, match=r"plane 2 is asked for, but .* holds 1 images"):
            camera.capture(after_ns=0)


def open_and_close(folder: Path, size_px: tuple[int, int] | None = None) -> None:
    with camera_of(folder, size_px):
        pass


def test_a_missing_folder_an_empty_one_and_a_file_are_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="not a folder"):
        open_and_close(tmp_path / "missing")
    with pytest.raises(CameraError, match=r"holds no image; put \.jpg"):
        open_and_close(tmp_path)
    with pytest.raises(CameraError, match="not a folder"):
        open_and_close(write("a.png", grey(1)))


def test_files_of_different_sizes_are_refused_by_name(write: Write, tmp_path: Path) -> None:
    write("a.png", grey(1))
    write("b.png", grey(1, width=50))
    with pytest.raises(CameraError, match=r"b\.png has 50 x 30 px, but a\.png has 40 x 30 px"):
        open_and_close(tmp_path)


def test_a_size_other_than_configured_is_refused(write: Write, tmp_path: Path) -> None:
    write("a.png", grey(1))
    with pytest.raises(CameraError, match=r"40 x 30 px, but camera\.size_px says 64 x 48 px"):
        open_and_close(tmp_path, (64, 48))


def test_a_file_that_changed_since_opening_is_refused(write: Write, tmp_path: Path) -> None:
    write("a.png", grey(1))
    with camera_of(tmp_path) as camera:
        camera.lock_exposure(AUTO)
        write("a.png", grey(1, width=44))
        with pytest.raises(CameraError, match="changed since the folder was opened"):
            camera.capture(after_ns=0)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_a_truncated_file_and_a_text_file_are_refused(
    write: Write, tmp_path: Path, name: str
) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)
    path = write(name, noise)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(CameraError, match=rf"{name}: .*; remove or replace the file"):
        open_and_close(tmp_path)
    path.write_text("this is no image at all")
    with pytest.raises(CameraError, match=rf"{name}: .*; remove or replace the file"):
        open_and_close(tmp_path)


def test_a_floating_point_tiff_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((30, 40), np.float32))
    with pytest.raises(ImageFileError, match="30 x 40 values of float32 are not"):
        read_image(path)


@given(data=st.binary(max_size=400), suffix=st.sampled_from([".png", ".jpg", ".tif"]))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_an_image_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(data)
    for read in (read_image, read_size_px):
        told = ""
        try:
            read(path)
        except ImageFileError as error:
            told = str(error) or "nothing"
        assert "\n" not in told
        assert told != "nothing"
