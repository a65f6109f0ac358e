"""Files of a result: which there are, under which names, and that they do not hang together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zstackd.runs.publish import Publisher
from zstackd.runs.result_files import result_files
from zstackd.store.durable import sha256_of
from zstackd_config.rig import Optics
from zstackd_config.run import Output
from zstackd_stacking import FrameReport, StackReport, StackResult
from zstackd_stacking.files.images import read_image
from zstackd_stacking.types import as_floats, as_image

EVERYTHING = Output(format="png", extras=("focus_curve", "confidence", "mesh", "relief"))
ALWAYS = [("stack.png", "image"), ("preview.jpg", "preview")]
HEIGHTS = [("depth.tif", "depth"), ("depth.png", "depth_picture")]
OPTICS = Optics(pixel_size_um=0.5, numerical_aperture=0.25, magnification=10)
CURVE = ("focus_curve.png", "focus_curve")


@pytest.fixture
def result() -> StackResult:
    still = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    frames = tuple(
        FrameReport(index, f"z{index}", 2.0 * index, 1.0, still, None, used=True, note="")
        for index in range(3)
    )
    image = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    heights = as_floats(np.linspace(0, 4, 4800).reshape(60, 80))
    report = StackReport("pyramid", 1, frames)
    return StackResult(as_image(image), heights, np.ones_like(heights), report)


def listed(result: StackResult, settings: Output) -> list[tuple[str, str]]:
    files = result_files(result, settings, pixel_size_um=0.5, high_is_near=True, exposures_s={})
    return [(file.name, file.role) for file in files]


def test_what_is_wanted_is_there_under_its_name(result: StackResult) -> None:
    extras = [("confidence.tif", "confidence"), ("relief.png", "relief"), ("mesh.ply", "mesh")]
    assert listed(result, EVERYTHING) == [*ALWAYS, *HEIGHTS, *extras, CURVE]
    assert listed(result, Output(format="png", extras=())) == [*ALWAYS, *HEIGHTS]


def test_without_heights_there_is_nothing_made_of_them(result: StackResult) -> None:
    flat = replace(result, depth_um=None, confidence=None)
    assert listed(flat, EVERYTHING) == [*ALWAYS, CURVE]


def test_files_written_side_by_side_are_those_written_one_by_one(
    tmp_path: Path, result: StackResult
) -> None:
    publisher = Publisher(tmp_path, "20261128T080000Z_side-by-side", "ours")
    written = publisher.prepare(result, EVERYTHING, optics=OPTICS, exposures_s={})
    alone = tmp_path / "alone"
    alone.mkdir()
    files = result_files(result, EVERYTHING, pixel_size_um=0.5, high_is_near=True, exposures_s={})
    for file in files:
        file.write(alone / file.name)
    assert {path.name for path in publisher.hidden.iterdir()} == {file.name for file in written}
    assert [(file.name, file.sha256) for file in written] == [
        (file.name, sha256_of(alone / file.name)) for file in written
    ]


def test_the_relief_of_an_inverted_microscope_is_raised_towards_the_lens(
    tmp_path: Path, result: StackResult
) -> None:
    reliefs = {}
    for side in ("above", "below"):
        publisher = Publisher(tmp_path, f"20261128T080000Z_{side}", "ours")
        optics = OPTICS.model_copy(update={"viewed_from": side})
        files = publisher.prepare(result, EVERYTHING, optics=optics, exposures_s={})
        reliefs[side] = next(file.sha256 for file in files if file.role == "relief")
    assert reliefs["above"] != reliefs["below"]


def test_the_preview_of_16_bits_is_no_matter_for_a_warning(
    tmp_path: Path, result: StackResult, caplog: pytest.LogCaptureFixture
) -> None:
    faint = as_image(result.image.astype(np.uint16) * 16)
    publisher = Publisher(tmp_path, "20261128T080000Z_16-bits", "ours")
    publisher.prepare(replace(result, image=faint), EVERYTHING, optics=OPTICS, exposures_s={})
    assert caplog.records == []
    assert read_image(publisher.hidden / "preview.jpg").mean() > 100
