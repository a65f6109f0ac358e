"""OME-TIFF: pixels, scale, heights and exposures as other programs read them."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from zstackd_config.errors import StorageError
from zstackd_stacking.files.ome import OmeInfo, Plane, is_ome, write_ome, write_ome_stack
from zstackd_stacking.files.output import Metadata
from zstackd_stacking.types import Image

NAMESPACE = {"o": "http://www.openmicroscopy.org/Schemas/OME/2016-06"}
RNG = np.random.default_rng(5)
COLOUR = RNG.integers(0, 65536, (5, 24, 32, 3), dtype=np.uint16)
MONO = RNG.integers(0, 256, (5, 24, 32), dtype=np.uint8)
PLANES = tuple(Plane(10.0 - 2.5 * index, 0.0125) for index in range(5))


def stack_info(**changes: object) -> OmeInfo:
    settings = {"name": "slide 7, µ", "planes": PLANES, "identity": "a", "pixel_size_um": 0.65,
                "z_step_um": -2.5, **changes}  # fmt: skip
    return OmeInfo(**settings)  # type: ignore[arg-type]


def pixels(path: Path) -> ET.Element:
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        assert file.ome_metadata is not None
        found = ET.fromstring(file.ome_metadata).find("o:Image/o:Pixels", NAMESPACE)  # noqa: S314 - our own
    assert found is not None
    return found


@pytest.mark.parametrize("frames", [COLOUR, MONO], ids=["colour 16 bit", "mono 8 bit"])
def test_a_z_stack_comes_back_with_scale_heights_and_exposures(
    tmp_path: Path, frames: Image
) -> None:
    path = tmp_path / "stack.ome.tif"
    write_ome_stack(path, iter(frames), stack_info(), shape=frames.shape[1:], dtype=frames.dtype)
    with tifffile.TiffFile(path) as file:
        (series,) = file.series
        assert series.axes == ("ZYXS" if frames.ndim == 4 else "ZYX")
        read = series.asarray()
    np.testing.assert_array_equal(read, frames[..., ::-1] if frames.ndim == 4 else frames)
    found = pixels(path)
    assert [found.get(f"PhysicalSize{axis}") for axis in "XYZ"] == ["0.65", "0.65", "2.5"]
    assert {found.get(f"PhysicalSize{axis}Unit") for axis in "XYZ"} == {"µm"}
    planes = found.findall("o:Plane", NAMESPACE)
    assert [float(plane.get("PositionZ", "nan")) for plane in planes] == [10, 7.5, 5, 2.5, 0]
    assert {plane.get("PositionZUnit") for plane in planes} == {"µm"}
    assert {(plane.get("ExposureTime"), plane.get("ExposureTimeUnit")) for plane in planes} == {
        ("0.0125", "s")
    }


def test_a_fused_image_carries_scale_camera_and_notes(tmp_path: Path) -> None:
    path = tmp_path / "fused.ome.tif"
    info = stack_info(planes=PLANES[:1], notes={"frames": "z1 & z2"})
    write_ome(path, COLOUR[0], info, metadata=Metadata(icc=b"profile"))
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        np.testing.assert_array_equal(page.asarray(), COLOUR[0][..., ::-1])
        numerator, denominator = page.tags["XResolution"].value
        assert numerator / denominator == pytest.approx(10_000 / 0.65)
        assert page.tags.valueof(34675) == b"profile"
        assert "z1 &amp; z2" in str(file.ome_metadata)
    assert pixels(path).get("SizeZ") == "1"


def test_what_is_unknown_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    some = (Plane(0.0, 0.1), Plane(1.0, None))
    info = stack_info(planes=some, pixel_size_um=None, z_step_um=None)
    write_ome_stack(path, MONO[:2], info, shape=(24, 32), dtype=MONO.dtype)
    found = pixels(path)
    assert found.get("PhysicalSizeX") is None
    assert found.get("PhysicalSizeZ") is None
    planes = found.findall("o:Plane", NAMESPACE)
    assert [plane.get("PositionZ") for plane in planes] == ["0.0", "1.0"]
    assert {plane.get("ExposureTime") for plane in planes} == {None}


def test_the_same_result_is_the_same_bytes_and_another_has_another_uuid(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.ome.tif" for name in "abc"]
    for path, identity in zip(paths, "aab", strict=True):
        write_ome(path, MONO[0], stack_info(planes=PLANES[:1], identity=identity))
    same, also, other = (path.read_bytes() for path in paths)
    assert same == also
    assert same != other


def test_planes_are_asked_for_one_by_one_and_a_fault_leaves_nothing(tmp_path: Path) -> None:
    asked: list[int] = []

    def failing() -> Iterator[Image]:
        for index in range(5):
            asked.append(index)
            if index == 3:
                raise StorageError("frame 3 is gone")
            yield MONO[index]

    with pytest.raises(StorageError, match="frame 3 is gone"):
        write_ome_stack(
            tmp_path / "a.ome.tif", failing(), stack_info(), shape=(24, 32), dtype=MONO.dtype
        )
    assert asked == [0, 1, 2, 3]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "asks"), [("a.ome.tif", True), ("A.OME.TIFF", True), ("a.tif", False), ("ome", False)]
)
def test_the_name_says_whether_ome_is_wanted(name: str, asks: bool) -> None:
    assert is_ome(Path(name)) is asks
