"""Files that hold a whole z-stack: which planes, in which order, at which scale."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from zstackd_config.errors import InputError
from zstackd_stacking import StackOptions
from zstackd_stacking.files.frames import frame_metadata, require_alike, stack_files
from zstackd_stacking.files.images import load_image, probe_image
from zstackd_stacking.files.ome import OmeInfo, Plane, write_ome_stack
from zstackd_stacking.files.output import write_image
from zstackd_stacking.files.zstack import ZStack, read_zstack
from zstackd_stacking.types import Image

RNG = np.random.default_rng(12)
MONO = RNG.integers(0, 65536, (4, 40, 60), dtype=np.uint16)
COLOUR = RNG.integers(0, 256, (4, 40, 60, 3), dtype=np.uint8)
UM = {f"PhysicalSize{axis}Unit": "µm" for axis in "XYZ"}


def ome(path: Path, pixels: Any, axes: str, **model: Any) -> Path:
    tifffile.imwrite(
        path, pixels, ome=True, photometric="rgb" if axes.endswith("S") else "minisblack",
        metadata={"axes": axes, **model},
    )  # fmt: skip
    return path


def described(path: Path, xml: str, pixels: Any = MONO) -> Path:
    """A TIFF of as many pages as there are pixels, with an OME-XML of one's own."""
    with tifffile.TiffWriter(path) as file:
        for number, plane in enumerate(pixels):
            note = xml.encode() if number == 0 else None
            file.write(plane, photometric="minisblack", description=note, metadata=None)
    return path


def xml(inner: str, **sizes: object) -> str:
    said = {"SizeX": 60, "SizeY": 40, "SizeZ": 4, "SizeC": 1, "SizeT": 1, **sizes}
    pixels = " ".join(f'{key}="{value}"' for key, value in said.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:own">'
        f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" {pixels}>'
        f"{inner}</Pixels></Image></OME>"
    )


def imagej(path: Path, pixels: Any = MONO, axes: str = "ZYX", **said: Any) -> Path:
    tifffile.imwrite(path, pixels, imagej=True, resolution=(4, 4), metadata={"axes": axes, **said})
    return path


def stack_of(path: Path) -> ZStack:
    found = read_zstack(path)
    assert found is not None
    return found


def planes_of(path: Path) -> list[Image]:
    return [load_image(plane).image for plane in stack_of(path).planes]


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zlib", "predictor": True}, {"bigtiff": True}, {"byteorder": ">"},
     {"tile": (16, 16)}],
    ids=["plain", "deflate", "BigTIFF", "big-endian", "tiled"],
)  # fmt: skip
def test_every_page_is_a_plane_in_the_file_s_order(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, COLOUR, photometric="rgb", metadata=None, **options)
    np.testing.assert_array_equal(planes_of(path), COLOUR[..., ::-1])
    stack = stack_of(path)
    assert (stack.pixel_size_um, stack.z_step_um, stack.told_by) == (None, None, "")
    assert [plane.name for plane in stack.planes] == [f"stack.tif:{z}" for z in (1, 2, 3, 4)]


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_planes_compressed_by_lzw_are_read_one_by_one(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "stack.tif"
    first, *others = [PillowImage.fromarray(plane).convert(mode) for plane in COLOUR]
    first.save(path, save_all=True, append_images=others, compression="tiff_lzw")
    wanted = [np.asarray(plane) for plane in (first, *others)]
    found = planes_of(path)
    np.testing.assert_array_equal(
        found, wanted if mode == "L" else [plane[..., ::-1] for plane in wanted]
    )


def test_an_ome_tiff_tells_its_scale(tmp_path: Path) -> None:
    sizes = {"PhysicalSizeX": 650, "PhysicalSizeY": 650, "PhysicalSizeZ": 0.005}
    units = {
        f"PhysicalSize{axis}Unit": unit
        for axis, unit in zip("XYZ", ("nm", "nm", "mm"), strict=True)
    }
    path = ome(tmp_path / "s.ome.tif", COLOUR, "ZYXS", **sizes, **units)
    stack = stack_of(path)
    assert stack.pixel_size_um == pytest.approx(0.65)
    assert stack.z_step_um == pytest.approx(5)
    assert (stack.heights_um, stack.told_by) == (None, "OME-XML")
    np.testing.assert_array_equal(planes_of(path), COLOUR[..., ::-1])


def test_planes_come_in_the_order_of_z_wherever_they_lie_in_the_file(tmp_path: Path) -> None:
    blocks = "".join(
        f'<TiffData FirstZ="{z}" IFD="{place}"/>' for z, place in enumerate((2, 0, 3, 1))
    )
    path = described(tmp_path / "s.ome.tif", xml(blocks))
    np.testing.assert_array_equal(planes_of(path), MONO[[2, 0, 3, 1]])


def test_planes_of_other_files_are_not_taken_for_this_one_s(tmp_path: Path) -> None:
    blocks = (
        f'<TiffData FirstZ="{z}" IFD="{z % 4}"><UUID FileName="a">urn:uuid:{name}</UUID></TiffData>'
        for z, name in enumerate(["own"] * 4 + ["other"] * 4)
    )
    path = described(tmp_path / "s.ome.tif", xml("".join(blocks), SizeZ=8))
    assert "holds 4 of the 8 planes" in refusal(lambda: read_zstack(path))


def test_a_z_stack_of_our_own_comes_back_with_its_heights(tmp_path: Path) -> None:
    """Going down, and with a gap where a frame was left out."""
    path = tmp_path / "aligned.ome.tif"
    heights = (-3.0, -6.0, -12.0, -15.0)
    info = OmeInfo("a", tuple(Plane(z) for z in heights), "x", pixel_size_um=0.5, z_step_um=-3)
    write_ome_stack(path, iter(MONO), info, shape=MONO.shape[1:], dtype=MONO.dtype)
    stack = stack_of(path)
    assert stack.by_zstackd
    assert [stack.pixel_size_um, stack.z_step_um] == [0.5, -3]
    assert list(stack.heights_um or ()) == [0, -3, -9, -12]
    result = stack_files(
        stack.planes, StackOptions(align=False), z_step_um=-3, heights_um=stack.heights_um
    )
    assert [frame.z_um for frame in result.report.frames] == [0, -3, -9, -12]


@pytest.mark.parametrize(
    ("unit", "heights", "step"),
    [
        ("µm", (7, 5, 3, 1), -2),
        (None, (0, 2, 4, 6), 2),
        (None, (0, 400, 800, 1200), 2),
        ("µm", (0, 9, 1, 2), 2),
    ],
    ids=["downward", "no unit", "another unit", "up and down"],
)
def test_positions_tell_the_direction_where_they_agree_with_the_step(
    tmp_path: Path, unit: str | None, heights: tuple[float, ...], step: float
) -> None:
    attribute = f' PositionZUnit="{unit}"' if unit else ""
    planes = "".join(
        f'<Plane TheZ="{z}" TheC="0" TheT="0" PositionZ="{height}"{attribute}/>'
        for z, height in enumerate(heights)
    )
    path = described(tmp_path / "s.ome.tif", xml(planes, PhysicalSizeZ=2))
    stack = stack_of(path)
    assert (stack.z_step_um, stack.heights_um) == (step, None)


def test_imagej_tells_its_scale(tmp_path: Path) -> None:
    stack = stack_of(imagej(tmp_path / "s.tif", spacing=2.5, unit="\\u00B5m"))
    assert (stack.pixel_size_um, stack.z_step_um) == (0.25, 2.5)
    assert stack.told_by == "ImageJ description"
    stack = stack_of(imagej(tmp_path / "s.tif", spacing=1.0, unit="pixel"))
    assert (stack.pixel_size_um, stack.z_step_um) == (None, None)
    np.testing.assert_array_equal(planes_of(tmp_path / "s.tif"), MONO)


@pytest.mark.parametrize("order", ["<", ">"])
def test_images_behind_a_single_directory_are_planes(tmp_path: Path, order: Any) -> None:
    """So ImageJ writes what is larger than 4 GB."""
    path = tmp_path / "s.tif"
    note = "ImageJ=1.54f\nimages=4\nslices=4\nspacing=2.0\nunit=micron\n"
    tifffile.imwrite(
        path, MONO[0], photometric="minisblack", description=note, metadata=None, byteorder=order
    )
    with path.open("ab") as file:
        file.write(MONO[1:].astype(MONO.dtype.newbyteorder(order)).tobytes())
    np.testing.assert_array_equal(planes_of(path), MONO)
    assert stack_of(path).z_step_um == 2
    path.write_bytes(path.read_bytes()[:-1])
    assert "truncated TIFF" in refusal(lambda: read_zstack(path))


@pytest.mark.parametrize("write", [ome, imagej])
@pytest.mark.parametrize(
    ("axes", "said"),
    [("ZCYX", "holds 2 channels; a z-stack has 1: split them"),
     ("TZYX", "holds 2 time points; a z-stack has 1: save each")],
)  # fmt: skip
def test_channels_and_time_points_are_refused(
    tmp_path: Path, write: Callable[..., Path], axes: str, said: str
) -> None:
    path = write(tmp_path / "s.tif", MONO.reshape(2, 2, 40, 60), axes)
    assert refusal(lambda: read_zstack(path)).startswith(f"{path}: {said}")


@pytest.mark.parametrize(
    ("axes", "shape", "said"),
    [
        (None, (2, 2, 40, 60), "count along several axes (2 × 2)"),
        ("ZCYX", (2, 2, 40, 60), "holds 2 channels"),
        ("TYX", (4, 40, 60), "holds 4 time points"),
    ],
)
def test_axes_that_a_program_in_python_noted_are_heeded(
    tmp_path: Path, axes: str | None, shape: tuple[int, ...], said: str
) -> None:
    path = tmp_path / "s.tif"
    told = {"axes": axes} if axes else {}
    tifffile.imwrite(path, MONO.reshape(shape), photometric="minisblack", metadata=told)
    assert said in refusal(lambda: read_zstack(path))


@pytest.mark.parametrize("truncate", [False, True])
def test_what_a_program_in_python_wrote_is_read(tmp_path: Path, truncate: bool) -> None:
    path = tmp_path / "s.tif"
    pixels = MONO.reshape(1, 4, 40, 60)
    tifffile.imwrite(path, pixels, photometric="minisblack", truncate=truncate)
    np.testing.assert_array_equal(planes_of(path), MONO)


def test_several_positions_are_refused(tmp_path: Path) -> None:
    two = xml("").replace("</OME>", "<Image ID='Image:1'/></OME>")
    path = described(tmp_path / "s.ome.tif", two)
    assert "holds 2 images; a z-stack has 1" in refusal(lambda: read_zstack(path))


def test_small_copies_are_no_planes(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    with tifffile.TiffWriter(path) as file:
        for plane in MONO:
            file.write(plane, photometric="minisblack", subifds=1, metadata=None)
            file.write(plane[::2, ::2], photometric="minisblack", subfiletype=1, metadata=None)
            file.write(plane[::4, ::4], photometric="minisblack", subfiletype=1, metadata=None)
    np.testing.assert_array_equal(planes_of(path), MONO)


def test_a_pyramid_of_one_image_is_no_z_stack(tmp_path: Path) -> None:
    path = tmp_path / "s.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(COLOUR[0], photometric="rgb", subifds=1)
        file.write(COLOUR[0, ::2, ::2], photometric="rgb", subfiletype=1)
    assert read_zstack(path) is None
    assert load_image(path).image.shape == (40, 60, 3)


def test_a_plane_that_lists_the_others_in_their_files_is_no_z_stack(tmp_path: Path) -> None:
    blocks = (
        f'<TiffData FirstZ="{z}"><UUID FileName="{z}.ome.tif">urn:uuid:{z}</UUID></TiffData>'
        for z in range(4)
    )
    path = described(tmp_path / "0.ome.tif", xml("".join(blocks)), MONO[:1])
    assert read_zstack(path) is None
    np.testing.assert_array_equal(load_image(path).image, MONO[0])


def test_small_copies_among_imagej_s_images_are_no_planes(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    note = "ImageJ=1.54f\nimages=4\nslices=4\n"
    with tifffile.TiffWriter(path) as file:
        for number, plane in enumerate(MONO):
            said = note if number == 0 else None
            file.write(plane, photometric="minisblack", description=said, metadata=None)
            file.write(plane[::2, ::2], photometric="minisblack", subfiletype=1, metadata=None)
    np.testing.assert_array_equal(planes_of(path), MONO)


def test_files_of_one_image_are_no_z_stacks(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.tif"):
        write_image(tmp_path / name, COLOUR[0])
        assert read_zstack(tmp_path / name) is None


def test_pixels_that_are_not_square_are_no_pixel_size(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.7, "PhysicalSizeZ": 1e-6}
    assert stack_of(ome(tmp_path / "s.ome.tif", MONO, "ZYX", **sizes, **UM)).pixel_size_um is None
    square, step = caplog.messages
    assert "0.5 × 0.7 µm are not square: --pixel-size-um must give one size" in square
    assert "its z step of 1e-06 µm is left out" in step


def test_a_description_that_cannot_be_read_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = described(tmp_path / "s.ome.tif", xml("<Plane").replace("</OME>", " </OME>"))
    np.testing.assert_array_equal(planes_of(path), MONO)
    assert "its OME-XML cannot be read" in caplog.text


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("described_by", ["nothing", "ImageJ", "OME"])
def test_a_z_stack_that_is_cut_off_is_refused(
    tmp_path: Path, kept: float, described_by: str
) -> None:
    path = tmp_path / "s.tif"
    if described_by == "nothing":
        described(path, "")
    else:
        (imagej if described_by == "ImageJ" else ome)(path, MONO, "ZYX")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])

    def probe() -> None:
        require_alike(stack_of(path).planes, 0)

    refusal(probe)


def test_a_plane_unlike_the_others_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    with tifffile.TiffWriter(path) as file:
        for plane in (*MONO, MONO[0, :30]):
            file.write(plane, photometric="minisblack", metadata=None)
    stack = stack_of(path)
    said = refusal(lambda: require_alike(stack.planes, 0))
    assert said.startswith(f"{path}:5: 60 × 30 px 16-bit mono, but {path}:1 (the reference) has")


def test_planes_with_pixels_of_no_camera_are_refused_before_any_is_stacked(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, MONO.astype(np.float32), photometric="minisblack")
    stack = stack_of(path)
    said = refusal(lambda: require_alike(stack.planes, 0))
    assert "float32 with 32 bits" in said
    assert "Fiji" in said


def test_the_profile_of_the_first_page_is_that_of_all(tmp_path: Path) -> None:
    path = tmp_path / "s.ome.tif"
    profile = bytes(16) + b"GRAY" + bytes(100)
    info = OmeInfo("a", tuple(Plane() for _ in MONO), "x")
    write_ome_stack(path, iter(MONO), info, shape=MONO.shape[1:], dtype=MONO.dtype, profile=profile)
    assert frame_metadata(stack_of(path).planes[2]).icc == profile


def test_planes_fuse_to_what_files_of_their_own_do(
    tmp_path: Path, rendered: Callable[..., Any]
) -> None:
    frames = rendered(planes=5, motion=0.3).frames
    paths = [tmp_path / f"z{number}.png" for number in range(5)]
    for frame, path in zip(frames, paths, strict=True):
        write_image(path, frame)
    whole = tmp_path / "s.tif"
    pages = np.stack([cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in frames])
    tifffile.imwrite(whole, pages, photometric="rgb", compression="zlib")
    alone, together = stack_files(paths), stack_files(stack_of(whole).planes)
    np.testing.assert_array_equal(alone.image, together.image)
    assert alone.depth_um is not None
    np.testing.assert_array_equal(alone.depth_um, together.depth_um)


def test_no_more_than_the_plane_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, MONO, photometric="minisblack", metadata=None)
    read: list[int] = []
    plain = tifffile.FileHandle.read_array

    def counted(self: Any, dtype: Any, count: int = -1, *args: Any, **options: Any) -> Any:
        read.append(count)
        return plain(self, dtype, count, *args, **options)

    monkeypatch.setattr(tifffile.FileHandle, "read_array", counted)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("the whole file was read"))
    plane = stack_of(path).planes[3]
    assert probe_image(plane).width_px == 60
    np.testing.assert_array_equal(load_image(plane).image, MONO[3])
    assert sum(read) == MONO[3].size


def test_directories_that_point_nowhere_are_a_cut(tmp_path: Path) -> None:
    """Of a plain TIFF nothing else tells how many planes there should be."""
    path = described(tmp_path / "s.tif", "")
    with tifffile.TiffFile(path) as file:
        end = file.pages.next_page_offset
    assert end is not None
    data = bytearray(path.read_bytes())
    data[end : end + 4] = struct.pack("<I", len(data) + 1000)
    path.write_bytes(data)
    assert "truncated TIFF" in refusal(lambda: read_zstack(path))
