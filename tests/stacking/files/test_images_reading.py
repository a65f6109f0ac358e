"""Every usual kind of image file is read rightly, and every fault has its one line."""

import io
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from PIL import ImageOps

from zstackd_config.errors import InputError
from zstackd_stacking.files import images
from zstackd_stacking.files.images import probe_image, read_image, upright_size
from zstackd_stacking.files.output import write_image
from zstackd_stacking.types import Image, as_image

RNG = np.random.default_rng(7)
RGB = {"photometric": "rgb"}
COLOUR = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (40, 60, 3), dtype=np.uint16)
SMOOTH = as_image(cv2.resize(COLOUR[:5, :7], (300, 200), interpolation=cv2.INTER_CUBIC))


def pillow(path: Path, pixels: Image, mode: str | None = None, **options: Any) -> Path:
    picture = PillowImage.fromarray(pixels if pixels.ndim == 2 else pixels[..., ::-1])
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


def tiff(path: Path, pixels: Any, **options: Any) -> Path:
    tifffile.imwrite(path, pixels, **options)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_image(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("extension", [".png", ".tif"])
@pytest.mark.parametrize("pixels", [COLOUR, DEEP, COLOUR[..., 0], DEEP[..., 0]])
def test_lossless_files_come_back_bit_by_bit(tmp_path: Path, extension: str, pixels: Image) -> None:
    path = tmp_path / f"frame{extension}"
    write_image(path, pixels)
    again = read_image(path)
    assert again.dtype == pixels.dtype
    np.testing.assert_array_equal(again, pixels)


@pytest.mark.parametrize("pixels", [SMOOTH, SMOOTH[..., 1]])
def test_a_jpeg_comes_back_nearly_and_in_the_same_colours(tmp_path: Path, pixels: Image) -> None:
    path = tmp_path / "frame.jpg"
    write_image(path, as_image(pixels), quality=100)
    again = read_image(path)
    assert again.shape == pixels.shape
    assert np.abs(again.astype(int) - pixels).mean() < 1.5


@pytest.mark.parametrize("extension", [".png", ".tif"])
@pytest.mark.parametrize(("mode", "channels"), [("RGBA", 3), ("LA", 1)])
def test_transparency_is_dropped_with_a_warning_and_colours_stay(
    tmp_path: Path, extension: str, mode: str, channels: int, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = COLOUR if channels == 3 else as_image(COLOUR[..., 0])
    picture = PillowImage.fromarray(pixels if channels == 1 else pixels[..., ::-1].copy())
    picture = picture.convert(mode)
    picture.putalpha(128)
    path = tmp_path / f"frame{extension}"
    picture.save(path)
    np.testing.assert_array_equal(read_image(path), pixels)
    assert "transparency" in caplog.text


@pytest.mark.parametrize("pixels", [COLOUR, DEEP, COLOUR[..., 0]], ids=["8", "16", "mono"])
@pytest.mark.parametrize("kind", [".png", ".tif", "planar"])
def test_an_opaque_alpha_channel_is_dropped_without_a_word(
    tmp_path: Path, pixels: Image, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"frame{kind if kind.startswith('.') else '.tif'}"
    full = np.full(pixels.shape[:2], np.iinfo(pixels.dtype).max, pixels.dtype)
    both = np.dstack([pixels[..., ::-1] if pixels.ndim == 3 else pixels, full])
    meaning = "rgb" if pixels.ndim == 3 else "minisblack"
    if kind == ".png":
        if pixels.dtype == np.uint8:
            PillowImage.fromarray(both).save(path)
        else:  # Pillow has no 16 bits of colour
            cv2.imwrite(str(path), np.dstack([pixels, full]))
    elif kind == "planar":
        apart = np.ascontiguousarray(both.transpose(2, 0, 1))
        options = {"planarconfig": "separate", "extrasamples": ["unassalpha"]}
        tiff(path, apart, photometric=meaning, **options)
    else:
        tiff(path, both, photometric=meaning, extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_image(path), pixels)
    assert probe_image(path).alpha
    assert caplog.text == ""


@pytest.mark.parametrize("opaque", [True, False])
def test_a_compressed_tiff_may_have_an_alpha_channel_that_is_opaque(
    tmp_path: Path, opaque: bool
) -> None:
    path = tmp_path / "frame.tif"
    alpha = np.full((40, 60), 255, np.uint8)
    alpha[3, 4] = 255 if opaque else 254
    picture = PillowImage.fromarray(np.dstack([COLOUR[..., ::-1], alpha]))
    picture.save(path, compression="tiff_lzw")
    if opaque:
        np.testing.assert_array_equal(read_image(path), COLOUR)
    else:
        assert "save it without" in refusal(path)


@pytest.mark.parametrize("extension", [".png", ".tif"])
def test_a_palette_is_expanded(tmp_path: Path, extension: str) -> None:
    picture = PillowImage.fromarray(COLOUR[..., ::-1]).convert("P")
    path = tmp_path / f"frame{extension}"
    picture.save(path)
    np.testing.assert_array_equal(read_image(path), np.asarray(picture.convert("RGB"))[..., ::-1])


@pytest.mark.parametrize(
    ("pixels", "options", "wanted"),
    [
        (DEEP[..., ::-1].transpose(2, 0, 1), {**RGB, "planarconfig": "separate"}, DEEP),
        (DEEP[..., 0], {"photometric": "miniswhite"}, 65535 - DEEP[..., 0]),
        (DEEP[..., ::-1], {**RGB, "byteorder": ">"}, DEEP),
        (DEEP[..., ::-1], {**RGB, "bigtiff": True}, DEEP),
        (DEEP[..., ::-1], {**RGB, "tile": (16, 16)}, DEEP),
        (DEEP[..., 0], {"compression": "zlib", "predictor": True}, DEEP[..., 0]),
    ],
    ids=["planar", "white is zero", "big-endian", "BigTIFF", "tiled", "deflate"],
)  # fmt: skip
def test_unusual_tiffs_are_read_rightly(
    tmp_path: Path, pixels: Any, options: dict[str, Any], wanted: Image
) -> None:
    path = tiff(tmp_path / "frame.tif", np.ascontiguousarray(pixels), **options)
    np.testing.assert_array_equal(read_image(path), wanted)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_an_lzw_tiff_is_read_rightly(tmp_path: Path, mode: str) -> None:
    path = pillow(tmp_path / "frame.tif", COLOUR, mode, compression="tiff_lzw")
    with PillowImage.open(path) as picture:
        wanted = np.asarray(picture)
    np.testing.assert_array_equal(read_image(path), wanted if mode == "L" else wanted[..., ::-1])


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("extension", [".jpg", ".png", ".tif"])
def test_exif_orientation_is_honoured_in_every_format(
    tmp_path: Path, extension: str, value: int
) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = value
    path = pillow(tmp_path / f"frame{extension}", SMOOTH, exif=exif)
    with PillowImage.open(path) as picture:
        wanted = np.asarray(ImageOps.exif_transpose(picture))[..., ::-1]
    found = read_image(path)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).mean() < 1
    assert upright_size(probe_image(path)) == (found.shape[1], found.shape[0])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "gone.jpg")


def test_a_folder_is_told_from_an_image(tmp_path: Path) -> None:
    assert "-i" in refusal(tmp_path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "frame.png"
    path.touch()
    assert "0 bytes" in refusal(path)
    with pytest.raises(InputError, match="0 bytes"):
        probe_image(path)


def test_a_pipe_is_refused_at_once_instead_of_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "frame.jpg"
    os.mkfifo(path)
    assert "not a regular file" in refusal(path)


def test_a_text_called_jpg_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "frame.jpg"
    path.write_text("hello, I am no image\n")
    assert "not a JPEG, PNG or TIFF" in refusal(path)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(
    tmp_path: Path, extension: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"frame{extension}"
    write_image(path, SMOOTH)
    data = path.read_bytes()
    path.write_bytes(data[: max(12, int(len(data) * share))])
    refusal(path)
    assert capfd.readouterr().err == ""


def test_a_jpeg_whose_tail_is_zeros_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "frame.jpg"
    write_image(path, SMOOTH)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    assert "truncated" in refusal(path)


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "frame.jpg"
    write_image(path, SMOOTH)
    wanted = read_image(path)
    path.write_bytes(path.read_bytes() + b"maker's trailer \xff\x12")
    np.testing.assert_array_equal(read_image(path), wanted)


def test_another_image_behind_a_jpeg_does_no_harm_but_hides_no_cut(tmp_path: Path) -> None:
    """Cameras put previews behind; disks may keep an older file's end behind one cut off."""
    path = tmp_path / "frame.jpg"
    write_image(path, SMOOTH)
    data, wanted = path.read_bytes(), read_image(path)
    path.write_bytes(data + data)
    np.testing.assert_array_equal(read_image(path), wanted)
    path.write_bytes(data[: len(data) // 2] + data)
    assert "truncated" in refusal(path)


def test_a_progressive_jpeg_is_whole_with_its_last_scan_only(tmp_path: Path) -> None:
    path = pillow(tmp_path / "frame.jpg", SMOOTH, progressive=True)
    assert read_image(path).shape == SMOOTH.shape
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    assert "truncated" in refusal(path)


def test_a_damaged_png_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "frame.png"
    write_image(path, SMOOTH)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("dtype", [np.float32, np.uint32, np.int16, np.float64])
def test_pixels_that_are_no_camera_s_are_refused(tmp_path: Path, dtype: Any) -> None:
    path = tiff(tmp_path / "frame.tif", DEEP[..., 0].astype(dtype))
    assert np.dtype(dtype).name in refusal(path)


def test_a_tiff_of_many_pages_is_refused(tmp_path: Path) -> None:
    path = tiff(tmp_path / "frame.tif", np.stack([DEEP[..., 0]] * 3), photometric="minisblack")
    assert "holds 3 images" in refusal(path)


def test_a_size_bomb_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    path = tmp_path / "frame.png"
    write_image(path, COLOUR)
    assert "60 × 40 px" in refusal(path)


def test_a_header_that_lies_about_its_size_costs_no_memory(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    PillowImage.fromarray(COLOUR).save(buffer, "JPEG")
    data = buffer.getvalue()
    start = data.index(b"\xff\xc0") + 5
    path = tmp_path / "frame.jpg"
    path.write_bytes(data[:start] + b"\xff\xff\xff\xff" + data[start + 4 :])
    assert "65535 × 65535 px" in refusal(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_a_name_that_is_no_text_is_read_as_any_other(tmp_path: Path, suffix: str) -> None:
    plain = tmp_path / f"plain.{suffix}"
    write_image(plain, SMOOTH)
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe." + suffix.encode()))
    strange.write_bytes(plain.read_bytes())
    assert np.array_equal(read_image(strange), read_image(plain))


def test_a_palette_written_with_8_bits_of_its_16_is_not_black(tmp_path: Path) -> None:
    """As old programs write it, and libtiff reads it."""
    ramp = np.repeat(np.arange(256, dtype=np.uint16)[np.newaxis], 3, axis=0)
    grey = COLOUR[..., 0]
    path = tiff(tmp_path / "f.tif", grey, photometric="palette", colormap=ramp)
    np.testing.assert_array_equal(read_image(path), np.repeat(grey[..., np.newaxis], 3, axis=2))


def test_a_damaged_deflate_stream_is_one_line(tmp_path: Path) -> None:
    path = tiff(tmp_path / "f.tif", DEEP, compression="zlib", **RGB)
    data = bytearray(path.read_bytes())
    data[2000:2100] = bytes(100)
    path.write_bytes(data)
    assert "damaged TIFF (" in refusal(path)


@pytest.mark.parametrize("preview", [True, False])
def test_a_raw_file_is_told_as_one(tmp_path: Path, preview: bool) -> None:
    path = tmp_path / "frame.dng"
    with tifffile.TiffWriter(path) as file:
        if preview:
            file.write(COLOUR, photometric="rgb", subfiletype=1, subifds=1)
        file.write(DEEP[..., 0], photometric="cfa")
    assert "develop it into an RGB TIFF first" in refusal(path)
