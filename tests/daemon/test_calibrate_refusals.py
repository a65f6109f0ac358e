"""`zstackd calibrate` refuses what the rig file shows to be wrong, before it opens anything."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from tests.rigs import simulated_rig

from zstackd.cli import main
from zstackd.commands import calibrate
from zstackd.runs.autofocus import FoundFocus
from zstackd_config.errors import InputError

RANGE = ("--low-um", "0", "--high-um", "150")
HEIGHT = ("--height-um", "50")
FEATURE = ("--length-um", "100", "--from", "10,10", "--to")
GOOD = "0,0,40,40"


class Bench:
    """Runs `zstackd calibrate` in a folder of its own, with a camera of 320 x 240 px."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *words: str, status: int, **changes: Any) -> str:
        """Return the lines of a command that ends with `status`."""
        rig = {"camera": {"size_px": [320, 240]}, "simulation": {"time_scale": 100}} | changes
        file = self.folder / "rig.yaml"
        file.write_text(yaml.safe_dump(simulated_rig(**rig)))
        ended = main(["calibrate", words[0], "--rig", str(file), *words[1:]])
        err = self._capsys.readouterr().err
        assert ended == status, err
        return err.strip()

    def refusal(self, *words: str, status: int = 2, **changes: Any) -> str:
        """Return the one line of a command that opens and writes nothing."""
        err = self(*words, status=status, **changes)
        assert len(err.splitlines()) == 1
        assert not (self.folder / "state").exists()
        return err


@pytest.fixture
def bench(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Bench:
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path, capsys)


@pytest.mark.parametrize("end", ["9999,10", "320,10", "10,240", "-1,10"])
def test_a_point_outside_the_frame(bench: Bench, end: str) -> None:
    said = bench.refusal("pixel-size", *FEATURE, end)
    assert said.startswith(f"--to {end} is outside the frame of 320 x 240 px")


def test_a_point_outside_the_picture_whatever_the_camera_takes(bench: Bench) -> None:
    picture = bench.folder / "picture.png"
    cv2.imwrite(str(picture), np.zeros((100, 200), np.uint8))
    words = ("pixel-size", "--image", str(picture), *FEATURE)
    assert "outside the frame of 200 x 100 px" in bench.refusal(*words, "250,10")
    bench(*words, "199,99", status=0)


def test_a_frame_whose_size_only_the_camera_knows(bench: Bench) -> None:
    images = bench.folder / "images"
    images.mkdir()
    cv2.imwrite(str(images / "one.png"), np.zeros((100, 200), np.uint8))
    camera = {"driver": "folder", "path": "images", "size_px": None}
    said = bench.refusal("pixel-size", *FEATURE, "250,10", camera=camera)
    assert "outside the frame of 200 x 100 px" in said
    words = ("steps", *RANGE, *HEIGHT, "--lower", GOOD, "--upper", "0,0,201,40")
    said = bench(*words, status=2, camera=camera)
    assert said.endswith("--upper: region 0,0,201,40 px leaves the frame of 200 x 100 px")


@pytest.mark.parametrize(
    ("lower", "upper", "said"),
    [
        ("0,0,900,900", GOOD, "--lower: region 0,0,900,900 px leaves the frame of 320 x 240 px"),
        (GOOD, "1,1,5,50", "--upper: region of 5 x 50 px is too small to measure"),
        ("0,0,40.5,40", GOOD, "'0,0,40.5,40' is no region of whole pixels"),
        ("0,0,0,0", GOOD, "--lower: region of 0 x 0 px is too small"),
        ("-5,0,50,50", GOOD, "--lower: region -5,0,50,50 px leaves the frame"),
    ],
)
def test_a_region_that_cannot_be_measured(bench: Bench, lower: str, upper: str, said: str) -> None:
    words = ("steps", *RANGE, *HEIGHT, "--lower", lower, "--upper", upper)
    assert bench.refusal(*words).startswith(said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--low-um", "0", "--high-um", "9000"), "--high-um: focus height 9000 µm is beyond"),
        (("--low-um", "-300", "--high-um", "0"), "--low-um: focus height -300 µm is beyond"),
        (("--low-um", "9", "--high-um", "0"), "--low-um 9 must be less than --high-um 0"),
        ((*RANGE, "--lead-um", "120"), "--lead-um 120: the run-up to --low-um 0 µm begins at"),
        ((*RANGE, "--lead-um", "0"), "--lead-um 0 is no run-up"),
        ((*RANGE, "--lead-um", "nan"), "zstackd: Invalid value for '--lead-um': nan is no"),
        ((*RANGE, "--at-um", "nan"), "zstackd: Invalid value for '--at-um': nan is no"),
        ((*RANGE, "--at-um", "9999"), "--at-um: the focus axis cannot stand at 9999 µm"),
    ],
)
def test_a_backlash_out_of_reach(bench: Bench, words: tuple[str, ...], said: str) -> None:
    assert bench.refusal("backlash", *words).startswith(said)


@pytest.fixture
def ruled(bench: Bench) -> str:
    """A picture of lines 20 px apart."""
    shades = 120 + 100 * np.sin(2 * np.pi * np.arange(400) / 20)
    path = bench.folder / "ruled.png"
    cv2.imwrite(str(path), np.tile(shades.astype(np.uint8), (300, 1)))
    return str(path)


def test_findings_of_the_same_second_are_all_kept(bench: Bench, ruled: str) -> None:
    for _ in range(3):
        bench("pixel-size", "--image", ruled, "--pitch-um", "10", status=0)
    assert len(list(bench.folder.glob("state/calibration/*_pixel-size*/fragment.yaml"))) == 3


def test_a_finding_that_cannot_be_written_is_told(bench: Bench, ruled: str) -> None:
    (bench.folder / "state").write_text("no folder")
    said = bench("pixel-size", "--image", ruled, "--pitch-um", "10", status=1)
    assert "cannot be written (Not a directory)" in said
    assert "found: pixel size 0.5" in said


def test_a_finding_that_the_rig_file_would_refuse(bench: Bench, ruled: str) -> None:
    said = bench.refusal("pixel-size", "--image", ruled, "--pitch-um", "0.01")
    assert "does not take this for optics.pixel_size_um" in said
    assert said.endswith("check the lengths given, which are micrometres")


def test_settle_goes_nowhere_but_between_the_heights_given(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*_: Any, near_um: float, far_um: float, **__: Any) -> None:
        raise InputError(f"from {far_um:g} to {near_um:g} µm")

    found = FoundFocus(100.0, 0.9, (), ())
    monkeypatch.setattr(calibrate, "find_focus", lambda *_, **__: found)
    monkeypatch.setattr(calibrate, "measure_settling", measure)
    for low, high, far in (("95", "115", "115"), ("90", "105", "90"), ("0", "300", "3.61111")):
        said = bench("settle", "--low-um", low, "--high-um", high, status=2)
        assert said.endswith(f"from {far} to 100 µm"), said


@pytest.mark.parametrize(
    "words",
    [("settle",), ("magnification",), ("steps", *HEIGHT, "--lower", GOOD, "--upper", GOOD)],
)
def test_a_range_out_of_reach_and_a_rig_that_nobody_vouches_for(
    bench: Bench, words: tuple[str, ...]
) -> None:
    far = bench.refusal(*words, "--low-um", "0", "--high-um", "9000")
    assert far.startswith("--high-um: focus height 9000 µm is beyond the limits -100 to 400 µm")
    lost = bench.refusal(*words, *RANGE, status=3, focus={"reference": "confirm"})
    assert "vouch for where it stands with --at-um UM" in lost
