"""A frame that is spoilt in its midst is noticed, left out and named; the others are stacked."""

import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from zstackd_config.errors import InputError
from zstackd_stacking import FrameReport, StackOptions
from zstackd_stacking.files.damage import DamagedError
from zstackd_stacking.files.decoder_words import decoder_words, listen_to_decoders
from zstackd_stacking.files.frames import stack_files
from zstackd_stacking.files.images import load_image, read_image
from zstackd_stacking.files.zstack import read_zstack
from zstackd_stacking.types import Method

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "JPEG": ("JPEG", {"quality": 90}),
    "progressive JPEG": ("JPEG", {"quality": 90, "progressive": True}),
    "PNG": ("PNG", {}),
    "LZW": ("TIFF", {"compression": "tiff_lzw"}),
    "deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "JPEG in TIFF": ("TIFF", {"compression": "jpeg"}),
}
NOISE = np.random.default_rng(4).bytes(512)
SPOILT: dict[str, Callable[[bytearray, int], None]] = {
    "zeros": lambda data, at: data.__setitem__(slice(at, at + 1024), bytes(1024)),
    "noise": lambda data, at: data.__setitem__(slice(at, at + 512), NOISE),
    "another place": lambda data, at: data.__setitem__(
        slice(at, at + 2048), data[at - 3000 : at - 952]
    ),
}


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    with listen_to_decoders():
        yield


@pytest.fixture(scope="module")
def pixels() -> Any:
    rng = np.random.default_rng(8)
    coarse = PillowImage.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((320, 240), PillowImage.Resampling.BICUBIC))


def encoded(pixels: Any, kind: str) -> bytearray:
    form, options = KINDS[kind]
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, form, **options)
    return bytearray(buffer.getvalue())


def stack(folder: Path, pixels: Any, kind: str = "JPEG", count: int = 4) -> list[Path]:
    paths = [folder / f"z{number}" for number in range(count)]
    for path in paths:
        path.write_bytes(encoded(pixels, kind))
    return paths


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    SPOILT["zeros"](data, len(data) // 2)
    path.write_bytes(data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", SPOILT)
def test_a_file_that_is_spoilt_in_its_midst_is_told_as_damaged(
    tmp_path: Path, pixels: Any, capfd: pytest.CaptureFixture[str], kind: str, how: str
) -> None:
    path = tmp_path / "frame"
    data = encoded(pixels, kind)
    path.write_bytes(data)
    wanted = load_image(path).image
    assert wanted.shape == (240, 320, 3)
    SPOILT[how](data, int(len(data) * 0.45))
    path.write_bytes(data)
    with pytest.raises(DamagedError) as caught:
        load_image(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: damaged {KINDS[kind][0]}")
    assert message.endswith("; copy it again from the camera")
    assert "\n" not in message
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("behind", [bytes(700), b"\x12\x34\x56", b"\xff" * 40])
def test_what_a_camera_fills_a_jpeg_up_with_is_no_damage(
    tmp_path: Path, pixels: Any, capfd: pytest.CaptureFixture[str], behind: bytes
) -> None:
    path = tmp_path / "frame"
    data = encoded(pixels, "JPEG")
    path.write_bytes(data)
    wanted = load_image(path).image
    path.write_bytes(data[:-2] + behind + data[-2:])
    np.testing.assert_array_equal(load_image(path).image, wanted)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("method", get_args(Method))
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_damaged_frame_is_left_out_and_named_be_it_the_reference(
    tmp_path: Path, pixels: Any, method: Method, bad: int
) -> None:
    paths = stack(tmp_path, pixels)
    spoil(paths[bad])
    seen: list[FrameReport] = []
    result = stack_files(paths, StackOptions(method=method), z_step_um=2, on_frame=seen.append)
    assert [frame.index for frame in result.report.frames] == [0, 1, 2, 3]
    assert [frame.used for frame in result.report.frames] == [index != bad for index in range(4)]
    left_out = result.report.frames[bad]
    assert left_out.note.startswith("left out: damaged JPEG (")
    assert (left_out.name, left_out.z_um) == (f"z{bad}", 2 * bad)
    assert result.report.reference_index != bad
    assert left_out in seen
    without = stack_files(paths[:bad] + paths[bad + 1 :], StackOptions(method=method), reference=(
        result.report.reference_index - (result.report.reference_index > bad)
    ))  # fmt: skip
    np.testing.assert_array_equal(result.image, without.image)


def test_damaged_frames_are_left_out_where_none_is_read_ahead(tmp_path: Path, pixels: Any) -> None:
    paths = stack(tmp_path, pixels, "LZW")
    spoil(paths[3])
    result = stack_files(paths, StackOptions(memory="low"))
    assert [frame.used for frame in result.report.frames] == [True, True, True, False]


def test_a_damaged_plane_of_a_z_stack_is_left_out(tmp_path: Path, pixels: Any) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, np.stack([pixels] * 4), photometric="rgb", compression="zlib")
    with tifffile.TiffFile(path) as file:
        page = file.pages[1]
        assert isinstance(page, tifffile.TiffPage)
        start = page.dataoffsets[0] + page.databytecounts[0] // 2
    data = bytearray(path.read_bytes())
    data[start : start + 200] = bytes(200)
    path.write_bytes(data)
    zstack = read_zstack(path)
    assert zstack is not None
    frames = stack_files(zstack.planes).report.frames
    assert [frame.used for frame in frames] == [True, False, True, True]
    assert frames[1].note.startswith("left out: damaged TIFF (")


@pytest.mark.parametrize("count", [1, 3])
def test_where_all_are_damaged_there_is_no_stack(tmp_path: Path, pixels: Any, count: int) -> None:
    paths = stack(tmp_path, pixels, count=count)
    for path in paths:
        spoil(path)
    with pytest.raises(InputError, match="damaged JPEG"):
        stack_files(paths)


def test_a_frame_that_is_missing_or_cut_off_ends_the_stack(tmp_path: Path, pixels: Any) -> None:
    paths = stack(tmp_path, pixels)
    paths[1].write_bytes(paths[1].read_bytes()[:-1000])
    with pytest.raises(InputError, match="z1: truncated JPEG"):
        stack_files(paths)


def test_a_tiff_whose_directory_is_gone_is_cut_off(tmp_path: Path, pixels: Any) -> None:
    """Many programs write it last."""
    path = tmp_path / "frame"
    path.write_bytes(encoded(pixels, "LZW")[:-1000])
    with pytest.raises(InputError, match="truncated TIFF"):
        load_image(path)


def test_what_others_write_meanwhile_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    def write() -> None:
        os.write(2, b"a warning of ours\n")

    with decoder_words() as words:
        other = threading.Thread(target=write)
        other.start()
        other.join()
        os.write(2, b"Corrupt JPEG data: bad Huffman code\n")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "a warning of ours\n"
    assert words.damage() == "bad Huffman code"
    os.write(2, b"as usual\n")
    assert capfd.readouterr().err == "as usual\n"


def test_one_thread_does_not_hear_what_another_one_decodes() -> None:
    heard: list[str | None] = []

    def decode() -> None:
        with decoder_words() as words:
            os.write(2, b"Corrupt JPEG data: bad Huffman code\n")
        heard.append(words.damage())

    other = threading.Thread(target=decode)
    with decoder_words() as words:
        other.start()
        other.join(timeout=0.05)
        assert heard == []
    other.join()
    assert words.damage() is None
    assert heard == ["bad Huffman code"]


def test_whoever_listens_no_more_has_the_error_output_back(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Though another thread is decoding: an interruption must be told."""
    entered, done = threading.Event(), threading.Event()

    def decode() -> None:
        with decoder_words():
            entered.set()
            done.wait(timeout=10)

    other = threading.Thread(target=decode)
    with listen_to_decoders():
        other.start()
        assert entered.wait(timeout=10)
        ending = threading.Timer(0.05, done.set)
        ending.start()
    os.write(2, b"interrupted\n")
    assert capfd.readouterr().err == "interrupted\n"
    for thread in (other, ending):
        thread.join()


def test_a_library_that_is_not_told_to_listens_to_nobody(
    tmp_path: Path, pixels: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    (path,) = stack(tmp_path, pixels, count=1)
    spoil(path)
    with listen_to_decoders():
        pass  # at its end nobody listens
    assert read_image(path).shape == (240, 320, 3)
    assert "Corrupt JPEG data" in capfd.readouterr().err
