"""Finishing in strips of rows, and what it takes of luminance to foretell colour."""

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from zstackd_stacking import Stacker, StackOptions, planes
from zstackd_stacking.fusion.shrink import slopes
from zstackd_stacking.limits import at_least, at_most
from zstackd_stacking.types import Memory, as_floats

H, W = 414, 331


def frames(*, colour: bool, dtype: type = np.uint8) -> list[NDArray[Any]]:
    """Three noisy frames of one texture, each of them sharp in another third."""
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.standard_normal((H, W, 3), np.float32), (0, 0), 1.2)
    sharp = 110 + 40 * texture / texture.std()
    blurred = cv2.GaussianBlur(sharp, (0, 0), 3.0)
    made = []
    for third in range(3):
        frame = blurred.copy()
        rows = slice(third * H // 3, (third + 1) * H // 3)
        frame[rows] = sharp[rows]
        frame += rng.normal(0, 2, frame.shape)
        levels = frame if colour else frame[..., 1]
        scale = 257 if dtype == np.uint16 else 1
        made.append(np.clip(levels * scale, 0, 255 * scale).astype(dtype))
    return made


def stacked(taken: list[NDArray[Any]], memory: Memory) -> Stacker:
    stacker = Stacker(StackOptions(align=False, depth=False, memory=memory))
    for index, frame in enumerate(taken):
        stacker.add(frame, index=index)
    return stacker


@pytest.mark.parametrize("memory", ["normal", "low"])
@pytest.mark.parametrize("colour", [True, False])
def test_strips_leave_no_seams(
    monkeypatch: pytest.MonkeyPatch, colour: bool, memory: Memory
) -> None:
    stacker = stacked(frames(colour=colour), memory)
    whole = stacker.result().image.astype(int)
    monkeypatch.setattr(planes, "_STRIP_PX", 1)
    monkeypatch.setattr(planes, "_LEAST_STRIP_ROWS", 32)
    strips = stacker.result().image.astype(int)
    assert whole.shape == strips.shape
    assert np.abs(whole - strips).max() <= 2
    assert np.abs(whole - strips).mean() < 0.02


@pytest.mark.parametrize("memory", ["normal", "low"])
def test_16_bits_are_finished_as_8_are(memory: Memory) -> None:
    eight = stacked(frames(colour=True), memory).result().image.astype(int)
    taken = frames(colour=True, dtype=np.uint16)
    sixteen = stacked(taken, memory).result().image.astype(int)
    assert np.abs(sixteen / 257 - eight).mean() < 0.8


def test_a_result_so_far_does_not_change_what_comes_later() -> None:
    taken = frames(colour=True)
    stacker = Stacker(StackOptions(align=False))
    for index, frame in enumerate(taken):
        stacker.add(frame, index=index)
        stacker.result()
    again = stacker.result()
    expected = Stacker(StackOptions(align=False))
    for index, frame in enumerate(taken):
        expected.add(frame, index=index)
    assert np.array_equal(again.image, expected.result().image)
    assert np.array_equal(again.image, stacker.result().image)


def test_slopes_are_those_by_which_colour_goes_with_luminance() -> None:
    luma = cv2.GaussianBlur(
        np.random.default_rng(5).normal(0, 60, (81, 64)).astype(np.float32), (0, 0), 1.0
    )
    red, blue = slopes([as_floats(luma), as_floats(0.4 * luma + 9), as_floats(-0.2 * luma)], 1.0)
    assert red.shape == luma.shape
    assert float(np.median(red)) == pytest.approx(0.4, abs=0.03)
    assert float(np.median(blue)) == pytest.approx(-0.2, abs=0.03)
    assert slopes([as_floats(luma)], 1.0) == []


def test_bounds_hold_in_a_new_map_or_in_place() -> None:
    values = as_floats(np.array([[-2.0, 0.5, 3.0]]))
    np.testing.assert_array_equal(at_least(values, 0.5), [[0.5, 0.5, 3.0]])
    assert at_most(values, 1.0, out=values) is values
    np.testing.assert_array_equal(values, [[-2.0, 0.5, 1.0]])
