"""Results appear whole or not at all, with their scale and the camera's metadata."""

import errno
import os
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from PIL import ImageCms, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from zstackd_config.errors import InputError, StorageError
from zstackd_stacking.files.atomic import replacing, require_writable, write_atomically
from zstackd_stacking.files.camera_tags import exposure_s, tags_from_exif
from zstackd_stacking.files.exif import of_result
from zstackd_stacking.files.frames import frame_metadata
from zstackd_stacking.files.images import probe_image, read_image
from zstackd_stacking.files.output import Metadata, write_depth_tiff, write_image

RNG = np.random.default_rng(8)
COLOUR = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (40, 60, 3), dtype=np.uint16)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXTENSIONS = [".jpg", ".png", ".tif"]


def camera_exif(orientation: int = 6) -> PillowImage.Exif:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker of cameras"
    exif[0x0132] = "2026:11:23 10:11:12"
    exif.get_ifd(0x8769)[0x829A] = 0.0125
    return exif


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    path = tmp_path / "frame.jpg"
    PillowImage.fromarray(COLOUR).save(path, exif=camera_exif(), icc_profile=ICC, quality=95)
    return path


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_exif_and_colour_profile_pass_through_and_the_result_is_upright(
    tmp_path: Path, frame: Path, extension: str
) -> None:
    upright = read_image(frame)
    path = tmp_path / f"result{extension}"
    write_image(path, upright, metadata=frame_metadata(frame))
    with PillowImage.open(path) as result:
        assert result.size == (40, 60)
        assert result.info["icc_profile"] == ICC
        exif = result.getexif()
        assert exif.get(0x0112, 1) == 1
        assert exif[0x010F] == "Maker of cameras"
        assert exif[0x0132] == "2026:11:23 10:11:12"
        exposure = exif.get_ifd(0x8769).get(0x829A) or exif[0x829A]
        assert float(exposure) == pytest.approx(0.0125)
    assert read_image(path).shape == upright.shape


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_long_colour_profile_survives(tmp_path: Path, extension: str) -> None:
    profile = ICC + RNG.bytes(150_000)
    path = tmp_path / f"result{extension}"
    write_image(path, COLOUR, metadata=Metadata(icc=profile))
    assert frame_metadata(path).icc == profile


def test_what_a_png_says_of_its_colours_reaches_a_png(tmp_path: Path) -> None:
    said = PngImagePlugin.PngInfo()
    chunks = ((b"sRGB", b"\1"), (b"gAMA", struct.pack(">I", 45455)), (b"cHRM", bytes(range(32))))
    for kind, body in chunks:
        said.add(kind, body)
    said.add(b"cICP", b"short")  # damaged
    frame, result = tmp_path / "frame.png", tmp_path / "result.png"
    PillowImage.fromarray(COLOUR).save(frame, pnginfo=said)
    metadata = frame_metadata(frame)
    write_image(result, COLOUR, metadata=metadata)
    assert probe_image(result).png_colour == chunks
    np.testing.assert_array_equal(read_image(result), COLOUR)
    write_image(result, COLOUR, metadata=replace(metadata, icc=ICC))
    assert probe_image(result).png_colour == ()
    assert probe_image(result).icc == ICC


def test_a_tiff_s_metadata_reach_a_jpeg(tmp_path: Path, frame: Path) -> None:
    first, second = tmp_path / "a.tif", tmp_path / "b.jpg"
    write_image(first, COLOUR, metadata=frame_metadata(frame))
    write_image(second, COLOUR, metadata=frame_metadata(first))
    with PillowImage.open(second) as result:
        exif = result.getexif()
        assert exif[0x010F] == "Maker of cameras"
        assert float(exif.get_ifd(0x8769)[0x829A]) == pytest.approx(0.0125)
        assert result.info["icc_profile"] == ICC


def block_with_thumbnail(order: str) -> bytes:
    """72 pixels per inch, sideways, a maker's note, and a second directory for a thumbnail."""
    entries = ((0x0112, 3, 6), (0x011A, 5, 90), (0x011B, 5, 98), (0x0128, 3, 2), (0x927C, 7, 7))
    start = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 8)
    directory = struct.pack(f"{order}H", len(entries))
    for tag, kind, value in entries:
        packed = struct.pack(f"{order}H2x" if kind == 3 else f"{order}I", value)
        directory += struct.pack(f"{order}HHI", tag, kind, 1) + packed
    block = start + directory + struct.pack(f"{order}I", 106)
    block = block.ljust(90, b"\0") + struct.pack(f"{order}4I", 72, 1, 72, 1)
    thumbnail = struct.pack(f"{order}HHHII", 1, 0x0201, 4, 1, 124)
    return block + thumbnail + bytes(4) + b"\xff\xd8thumbnail"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_the_frame_s_thumbnail_and_resolution_are_not_the_result_s(
    tmp_path: Path, extension: str, order: str
) -> None:
    """File managers show a thumbnail instead of the image, and EXIF goes before other scales."""
    path = tmp_path / f"result{extension}"
    exif = block_with_thumbnail(order)
    write_image(path, COLOUR, pixel_size_um=0.65, metadata=Metadata(exif=exif))
    passed = frame_metadata(path).exif
    assert passed is not None
    assert len(passed) == len(exif)
    found = PillowImage.Exif()
    found.load(passed)
    assert (found[0x0112], found[0x0128]) == (1, 3)
    assert float(found[0x011A]) == float(found[0x011B]) == pytest.approx(10_000 / 0.65)
    assert found.get_ifd(0x927C) is not None
    assert struct.unpack_from(f"{order}I", passed, 8 + 2 + 5 * 12) == (0,)


def test_without_a_pixel_size_the_frame_s_resolution_stays() -> None:
    found = PillowImage.Exif()
    found.load(of_result(block_with_thumbnail("<")))
    assert (found[0x0112], found[0x0128], float(found[0x011A])) == (1, 2, 72)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_profile_for_other_colours_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, channels: int
) -> None:
    path = tmp_path / "frame.jpg"
    cmyk = ICC[:16] + b"CMYK" + ICC[20:]
    picture = PillowImage.fromarray(COLOUR)
    if channels == 1:
        picture.convert("L").save(path, icc_profile=ICC)
    else:
        picture.convert("CMYK").save(path, icc_profile=cmyk)
    assert frame_metadata(path).icc is None
    assert f"{path}: warning: its colour profile is for" in caplog.text


def test_exposures_in_a_tiff_s_own_exif_directory_are_found(tmp_path: Path) -> None:
    path = tmp_path / "frame.tif"
    inner = {0x829A: IFDRational(1, 50), 0x8827: 200, 0x9003: "2026:11:23 10:11:12"}
    tags = ImageFileDirectory_v2()
    tags[0x8769] = inner
    PillowImage.fromarray(COLOUR).save(path, tiffinfo=tags)
    exif = frame_metadata(path).exif
    assert exif is not None
    assert exposure_s(exif) == pytest.approx(0.02)
    assert {tag for tag, *_ in tags_from_exif(exif)} == set(inner)


def test_damaged_exif_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "result.tif"
    write_image(path, COLOUR, metadata=Metadata(exif=b"II*\0\xff\xff\xff\x7fnonsense"))
    np.testing.assert_array_equal(read_image(path), COLOUR)
    (line,) = caplog.messages
    assert line.startswith("warning: the EXIF data of the reference frame is damaged")
    assert line == line.strip()


def test_no_exposure_is_known_from_damaged_exif_and_nothing_more_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each frame is asked for its own, however often."""
    assert exposure_s(b"II*\0\xff\xff\xff\x7fnonsense") is None
    assert caplog.messages == []


def test_the_pixel_size_is_noted_as_resolution(tmp_path: Path) -> None:
    for extension in (".tif", ".png"):
        write_image(tmp_path / f"a{extension}", DEEP, pixel_size_um=0.5)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        (page,) = file.pages
        assert isinstance(page, tifffile.TiffPage)
        numerator, denominator = page.tags["XResolution"].value
        assert numerator / denominator == pytest.approx(20_000)
        assert page.tags["ResolutionUnit"].value == 3
    with PillowImage.open(tmp_path / "a.png") as picture:
        assert picture.info["dpi"][0] == pytest.approx(2_000_000 * 0.0254)


def test_a_depth_map_keeps_its_heights_scale_and_unit(tmp_path: Path) -> None:
    heights = RNG.normal(size=(30, 20)).astype(np.float32)
    path = tmp_path / "depth.tif"
    write_depth_tiff(path, heights, pixel_size_um=2.0)
    with tifffile.TiffFile(path) as file:
        np.testing.assert_array_equal(file.asarray(), heights)
        (page,) = file.pages
        assert isinstance(page, tifffile.TiffPage)
        assert "um" in page.description
        assert page.tags["XResolution"].value[0] == 5000


def test_16_bits_become_8_in_a_jpeg_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "result.jpg"
    write_image(path, np.full((64, 64), 40_000, np.uint16))
    assert read_image(path).mean() == pytest.approx(40_000 / 257, abs=1)
    assert "8 bits" in caplog.text


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_of_faint_16_bits_those_in_use_become_a_jpeg_s_8(tmp_path: Path, bits: int) -> None:
    """The upper ones of a 12-bit camera are empty: the picture would be all but black."""
    path = tmp_path / "result.jpg"
    image = np.full((64, 64), round(0.7 * 2**bits), np.uint16)
    image[3, 3] = 65535
    write_image(path, image)
    assert read_image(path)[16:].mean() == pytest.approx(0.7 * 256, abs=1)


def test_an_unknown_extension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'\.bmp'"):
        write_image(tmp_path / "result.bmp", COLOUR)


class FullDisk:
    """Parts of a file of which the second no longer fits."""

    def __init__(self) -> None:
        self.parts = [b"first"]

    def __iter__(self) -> "FullDisk":
        return self

    def __next__(self) -> bytes:
        if self.parts:
            return self.parts.pop()
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_line_and_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "result.png"
    path.write_bytes(b"old")
    with pytest.raises(StorageError, match=r"result\.png: cannot be written: No space left"):
        write_atomically(path, FullDisk())
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.png"]
    assert path.read_bytes() == b"old"


def test_a_disk_that_takes_a_part_only_is_full(tmp_path: Path) -> None:
    """Of arrays, numpy says how much was written, and neither why nor what it is about."""
    with (
        pytest.raises(StorageError, match=r"a\.tif: cannot be written: No space left"),
        replacing(tmp_path / "a.tif"),
    ):
        raise OSError("360000 requested and 20256 written")


def test_the_old_file_is_replaced_by_rename_and_a_link_followed(tmp_path: Path) -> None:
    real, link = tmp_path / "real.png", tmp_path / "link.png"
    real.write_bytes(b"old")
    before = real.stat().st_ino
    link.symlink_to(real)
    write_image(link, COLOUR)
    assert link.is_symlink()
    assert real.stat().st_ino != before
    np.testing.assert_array_equal(read_image(real), COLOUR)


def test_the_umask_decides_who_may_read_a_result(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_image(tmp_path / "result.png", COLOUR)
    finally:
        os.umask(old)
    assert (tmp_path / "result.png").stat().st_mode & 0o777 == 0o640


def test_outputs_that_cannot_be_written_are_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, said in (
        (tmp_path / "missing" / "a.png", "does not exist"),
        (tmp_path / "file" / "a.png", "is not a folder"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(InputError, match=said):
            require_writable(path)


def test_an_input_is_never_an_output_not_even_by_another_name(tmp_path: Path) -> None:
    frame, link = tmp_path / "frame.png", tmp_path / "other.png"
    write_image(frame, COLOUR)
    link.hardlink_to(frame)
    with pytest.raises(InputError, match="one of the input frames"):
        require_writable(link, inputs=[frame])


@pytest.mark.parametrize("size_um", [0.2, 0.65, 12.0])
def test_a_jpeg_notes_its_pixel_size(tmp_path: Path, size_um: float) -> None:
    path = tmp_path / "a.jpg"
    write_image(path, COLOUR, pixel_size_um=size_um, metadata=Metadata(icc=ICC))
    with PillowImage.open(path) as picture:
        assert picture.info["jfif_unit"] == 2
        assert picture.info["jfif_density"] == (round(10_000 / size_um),) * 2
        assert picture.info["icc_profile"] == ICC


@pytest.mark.parametrize("size_um", [0.1, 30_000.0])
def test_a_pixel_size_that_a_jpeg_cannot_note_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size_um: float
) -> None:
    path = tmp_path / "a.jpg"
    write_image(path, COLOUR, pixel_size_um=size_um)
    with PillowImage.open(path) as picture:
        assert picture.info["jfif_unit"] == 0
    assert "cannot note a pixel size" in caplog.text
