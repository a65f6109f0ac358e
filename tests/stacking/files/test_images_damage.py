"""Whatever happened to a file, reading it ends in an image or in one line."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from zstackd_config.errors import InputError
from zstackd_stacking.files.frames import frame_metadata
from zstackd_stacking.files.images import load_image, probe_image, read_image
from zstackd_stacking.files.output import write_image
from zstackd_stacking.files.zstack import read_zstack


def sample(kind: str) -> bytes:
    exif = PillowImage.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif.get_ifd(0x8769)[0x829A] = 0.01
    coarse = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (60, 40), interpolation=cv2.INTER_CUBIC)
    buffer = io.BytesIO()
    PillowImage.fromarray(np.asarray(image, np.uint8)).save(
        buffer, kind, exif=exif, icc_profile=b"profile" * 30
    )
    return buffer.getvalue()


SAMPLES = {kind: sample(kind) for kind in ("JPEG", "PNG", "TIFF")}


@pytest.mark.parametrize("kind", SAMPLES)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=5),
    kept=st.floats(0, 1) | st.just(1.0),
)
def test_a_damaged_file_is_read_or_refused_in_one_line(
    tmp_path: Path, kind: str, changes: list[tuple[int, int]], kept: float
) -> None:
    data = bytearray(SAMPLES[kind])
    for position, value in changes:
        data[position % len(data)] = value
    path = tmp_path / "frame"
    path.write_bytes(data[: round(len(data) * kept)])
    for attempt in (read_image, probe_image, frame_metadata):
        try:
            attempt(path)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 - an image is as good an outcome


def whole_stack(kind: str) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (3, 20, 30), dtype=np.uint8)
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeZ": 2.0, "Plane": {"PositionZ": [0, 2, 4]}}
    told = {"axes": "ZYX", "spacing": 2.0, "unit": "um", **(sizes if kind == "OME" else {})}
    tifffile.imwrite(
        buffer, pixels, photometric="minisblack", metadata=told if kind != "plain" else None,
        ome=kind == "OME", imagej=kind == "ImageJ",
    )  # fmt: skip
    return buffer.getvalue()


STACKS = {kind: whole_stack(kind) for kind in ("OME", "ImageJ", "plain")}


@pytest.mark.parametrize("kind", STACKS)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.lists(st.tuples(st.integers(0, 2500), st.integers(0, 255)), max_size=6),
    kept=st.floats(0, 1) | st.just(1.0),
)
def test_a_damaged_z_stack_is_read_or_refused_in_one_line(
    tmp_path: Path, kind: str, changes: list[tuple[int, int]], kept: float
) -> None:
    data = bytearray(STACKS[kind])
    for position, value in changes:
        data[position % len(data)] = value
    path = tmp_path / "stack"
    path.write_bytes(data[: round(len(data) * kept)])
    try:
        stack = read_zstack(path)
        for plane in stack.planes if stack else ():
            assert load_image(plane).image.size > 0
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - a stack is as good an outcome


@pytest.mark.parametrize("kind", SAMPLES)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.lists(st.tuples(st.integers(20, 400), st.integers(0, 255)), max_size=8))
def test_damaged_metadata_never_stops_a_result(
    tmp_path: Path, kind: str, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(SAMPLES[kind])
    for position, value in changes:
        data[position % len(data)] = value
    path = tmp_path / "frame"
    path.write_bytes(data)
    try:
        metadata = frame_metadata(path)
    except InputError:
        return
    image = np.zeros((8, 9, 3), np.uint8)
    for extension in (".jpg", ".png", ".tif"):
        write_image(tmp_path / f"result{extension}", image, metadata=metadata)
        assert read_image(tmp_path / f"result{extension}").shape == image.shape
