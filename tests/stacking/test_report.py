"""The report of a stack: focus curve, frames left out, and ranges that are too short."""

import json

import numpy as np
import pytest

from zstackd_stacking import FrameReport, StackReport, StackResult
from zstackd_stacking.pictures.plots import focus_plot
from zstackd_stacking.report import as_json, cut_offs, height_of, unit_of, z_step_of
from zstackd_stacking.types import FloatMap, as_floats

STILL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
CURVE_BLUE = np.asarray([170, 98, 33])
SHADE = (205, 232, 252)


def frame(
    index: int, sharpness: float = 1.0, z_um: float | None = None, *, used: bool = True
) -> FrameReport:
    name, note = f"z{index}.png", "" if used else "left out: blank"
    return FrameReport(index, name, z_um, sharpness, STILL, 0.2, used=used, note=note)


def report(sharpness: list[float], step_um: float | None = 5.0, left_out: int = -1) -> StackReport:
    frames = tuple(
        frame(index, value, None if step_um is None else index * step_um, used=index != left_out)
        for index, value in enumerate(sharpness)
    )
    return StackReport("pyramid", len(sharpness) // 2, frames)


def result(
    about: StackReport, heights: FloatMap | None = None, confidence: float = 1.0
) -> StackResult:
    sure = None if heights is None else np.full(heights.shape, confidence, np.float32)
    return StackResult(np.zeros((20, 30), np.uint8), heights, sure, about)


def spread(low: float, high: float) -> FloatMap:
    return as_floats(np.linspace(low, high, 600).reshape(20, 30))


LEVEL = [1.0] * 11
BULGE = [0.1, 0.2, 0.5, 0.9, 1.0, 0.9, 0.5, 0.2, 0.1, 0.1, 0.1]


@pytest.mark.parametrize(
    ("low", "high"), [(0, 50), (2.6, 47.4), (20, 30)], ids=["exact", "within", "far within"]
)
def test_a_subject_within_the_range_is_not_cut_off(low: float, high: float) -> None:
    assert cut_offs(result(report(LEVEL), spread(low, high))) == ()


def test_a_subject_that_goes_on_below_is_told_with_how_far_in_um() -> None:
    heights = as_floats(np.maximum(spread(-10, 50), 0))
    (found,) = cut_offs(result(report(LEVEL), heights))
    assert (found.end, found.at, found.extend_by) == ("low", 0, 15)
    assert found.share == pytest.approx(12.5 / 60, abs=0.01)
    assert "21% of the subject" in found.message
    assert "extend the range by 15 µm below it, to -15 µm" in found.message


def test_a_subject_that_goes_on_above_is_told_in_frames_where_they_have_no_heights() -> None:
    heights = as_floats(np.minimum(spread(0, 14), 10))
    (found,) = cut_offs(result(report(LEVEL, None), heights))
    assert (found.end, found.at, found.extend_by) == ("high", 10, 3)
    assert (
        "at the last frame: the subject may go on beyond; take about 3 more frames after it"
        in found.message
    )


def test_both_ends_can_be_too_short_and_downward_stacks_are_told_the_right_way() -> None:
    heights = as_floats(np.clip(spread(-70, 20), -50, 0))
    low, high = cut_offs(result(report(LEVEL, -5.0), heights))
    assert (low.end, low.at) == ("low", -50)
    assert "extend the range by 15 µm below it, to -65 µm" in low.message
    assert (high.end, high.at) == ("high", 0)


def test_unsure_heights_say_nothing_about_the_range() -> None:
    heights = as_floats(np.maximum(spread(-30, 30), 0))
    assert cut_offs(result(report(BULGE), heights, confidence=0.3)) == ()
    assert len(cut_offs(result(report(BULGE), heights, confidence=0.6))) == 1


@pytest.mark.parametrize(
    ("sharpness", "ends"),
    [
        (BULGE, []),
        (LEVEL, []),
        ([3.0, 2.0, 1.5, 1.0, 1.0], ["low"]),
        ([1.0, 1.0, 1.5, 2.0, 3.0], ["high"]),
        ([1.0, 3.0], []),
    ],
)
def test_without_heights_the_sharpest_frame_tells(sharpness: list[float], ends: list[str]) -> None:
    assert [found.end for found in cut_offs(result(report(sharpness)))] == ends


def test_the_outermost_frame_is_the_outermost_that_was_used() -> None:
    heights = as_floats(np.minimum(spread(0, 60), 45))
    (found,) = cut_offs(result(report(LEVEL, left_out=10), heights))
    assert found.at == 45


def test_the_json_says_everything_and_is_json() -> None:
    heights = as_floats(np.maximum(spread(-10, 50), 0))
    told = as_json(result(report(BULGE, left_out=3), heights))
    assert json.loads(json.dumps(told, allow_nan=False)) == json.loads(json.dumps(told))
    assert told["depth_unit"] == "um"
    assert told["left_out"] == ["z3.png"]
    assert len(told["focus_curve"]["z"]) == len(told["focus_curve"]["sharpness"]) == 10
    assert told["focus_curve"]["z"][:4] == [0, 5, 10, 20]
    assert told["cut_off"][0]["end"] == "low"
    assert told["frames"][3]["note"] == "left out: blank"
    assert told["frames"][0]["transform"] == STILL


def test_the_step_is_the_usual_one_whatever_the_order_of_the_frames() -> None:
    frames = [frame(index, z_um=z_um) for index, z_um in enumerate([0.0, 40.0, 5.0, 15.0, 10.0])]
    assert z_step_of(StackReport("pyramid", 0, tuple(frames))) == 5.0


def test_the_step_of_heights_that_were_rounded_to_motor_steps_is_their_mean() -> None:
    heights = [round(4.0 * index / 2.5) * 2.5 for index in range(11)]
    frames = [frame(index, z_um=z_um) for index, z_um in enumerate(heights)]
    assert z_step_of(StackReport("pyramid", 0, tuple(frames))) == pytest.approx(4.0)


def test_without_heights_the_unit_is_planes() -> None:
    about = report(BULGE, None)
    assert unit_of(about) == "planes"
    assert [height_of(one) for one in about.frames] == list(range(11))


def blue(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> tuple[int, int]:
    """Row and column of the topmost pixel of the curve."""
    near = np.abs(picture.astype(int) - CURVE_BLUE).max(axis=2) < 30
    rows, columns = np.nonzero(near)
    return int(rows[0]), int(np.median(columns[rows == rows[0]]))


def test_the_plot_peaks_at_the_sharpest_frame() -> None:
    picture = focus_plot(report(BULGE))
    height, width = picture.shape[:2]
    row, column = blue(picture)
    assert row < 0.15 * height
    assert column == pytest.approx(70 + (width - 110) * 4 / 10, abs=4)


def test_the_plot_shades_ends_where_the_subject_is_cut_off() -> None:
    about = report(LEVEL)
    found = cut_offs(result(about, as_floats(np.maximum(spread(-10, 50), 0))))
    shaded, plain = focus_plot(about, found), focus_plot(about)
    is_shaded = np.all(shaded == SHADE, axis=2)
    assert np.flatnonzero(is_shaded.any(axis=0)).max() < shaded.shape[1] / 2
    assert is_shaded.sum() > 5000
    assert not np.all(plain == SHADE, axis=2).any()


@pytest.mark.parametrize(("planes", "thick_px"), [(9, 9), (200, 3)])
def test_dots_of_many_frames_do_not_run_into_a_thick_line(planes: int, thick_px: int) -> None:
    picture = focus_plot(report([1.0 - 0.2 * i / planes for i in range(planes)]))
    near = np.abs(picture.astype(int) - CURVE_BLUE).max(axis=2) < 30
    assert near[:, 80:900].sum(axis=0).max() == pytest.approx(thick_px, abs=2)


@pytest.mark.parametrize("sharpness", [[1.0], [0.0, 0.0], [1.0, -0.3, 0.2], [-1.0, -2.0]], ids=str)
def test_odd_curves_are_drawn_too(sharpness: list[float]) -> None:
    picture = focus_plot(report(sharpness))
    assert picture.dtype == np.uint8
    assert np.ptp(picture) > 0


def test_a_plot_of_nothing_but_frames_left_out_is_drawn_too() -> None:
    about = report([1.0], left_out=0)
    assert focus_plot(about).size > 0
    assert cut_offs(result(about)) == ()
