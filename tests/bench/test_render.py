"""Stacks on disk, and the truth read back."""

from pathlib import Path

import cv2
import numpy as np
from bench.metrics import rms
from bench.render import folder_of, render
from bench.truth import MARGIN_PX, Truth
from tests.bench.conftest import SMALL_PX, growing


def test_a_case_has_its_frames_and_its_truth(moving: Truth) -> None:
    assert len(moving.frames) == moving.planes == 5
    frame = cv2.imread(str(moving.frames[0]), cv2.IMREAD_UNCHANGED)
    assert frame is not None
    assert frame.shape == (SMALL_PX[1], SMALL_PX[0], 3)
    assert frame.dtype == np.uint8
    assert not [path for path in moving.folder.parent.iterdir() if path.name.startswith(".")]


def test_a_case_is_rendered_once(moving: Truth) -> None:
    before = moving.frames[0].stat().st_mtime_ns
    assert render(growing(), moving.folder.parent) == moving.folder
    assert moving.frames[0].stat().st_mtime_ns == before


def test_rendering_is_repeatable_and_clears_what_was_cut_off(moving: Truth, tmp_path: Path) -> None:
    case = growing()
    left = tmp_path / f".{folder_of(case, tmp_path).name}" / "frames"
    left.mkdir(parents=True)
    (left / "frame_999.jpg").write_bytes(b"half")
    again = Truth(render(case, tmp_path))
    assert [path.read_bytes() for path in again.frames] == [
        path.read_bytes() for path in moving.frames
    ]


def test_the_truth_of_a_frame_is_what_the_frame_shows_in_focus(moving: Truth) -> None:
    for plane in (1, 2, 3):
        view = moving.view(moving.matrix(plane), moving.size_px)
        frame = np.asarray(cv2.imread(str(moving.frames[plane])), np.float32)
        focused = view.inside & (np.abs(view.depth - plane) < 0.15)
        assert np.count_nonzero(focused) > 300
        assert rms((frame - view.image)[focused]) < 4.5


def test_a_margin_of_the_frame_is_not_judged(moving: Truth) -> None:
    inside = moving.view(moving.middle, moving.size_px).inside
    expected = np.zeros_like(inside)
    expected[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX] = True
    assert np.array_equal(inside, expected)
