"""Alignment: how near to the truth, and what becomes of frames that cannot be placed."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from zstackd_stacking import Stacker, StackReport, StackResult, stacking_order
from zstackd_stacking.alignment.track import Track
from zstackd_stacking.geometry import (
    Matrix,
    compose,
    corner_motion_px,
    from_motion,
    identity,
    invert,
    motion_between,
    rescale,
)

Render = Callable[..., Any]


def rms_px(found: Matrix, true: Matrix, shape: tuple[int, int]) -> float:
    y, x = np.mgrid[0 : shape[0] : 9j, 0 : shape[1] : 9j].reshape(2, -1)
    error = (found - true) @ np.stack([x, y, np.ones_like(x)])
    return float(np.sqrt(np.mean(np.sum(error**2, axis=0))))


def stack(frames: list[NDArray[Any]]) -> StackResult:
    stacker = Stacker()
    for index in stacking_order(len(frames), "middle"):
        stacker.add(frames[index], index=index, name=f"frame {index}")
    return stacker.result()


def notes(report: StackReport) -> dict[int, str]:
    return {frame.index: frame.note for frame in report.frames if frame.note}


def used(report: StackReport) -> list[bool]:
    return [frame.used for frame in report.frames]


def test_breathing_drift_and_rotation_are_followed(rendered: Render) -> None:
    scene = rendered(planes=13, motion=1.0, slope_px=1.2, shape=(480, 640), colour=False)
    report = stack(scene.frames).report
    to_reference = invert(scene.motion[6])
    for frame in report.frames:
        true = invert(compose(scene.motion[frame.index], to_reference))
        assert rms_px(np.array(frame.transform), true, (480, 640)) < 0.25
    assert not notes(report)


def test_a_still_rig_stays_still(rendered: Render) -> None:
    scene = rendered(planes=9, slope_px=1.5, noise=4.0, shape=(300, 400))
    for frame in stack(scene.frames).report.frames:
        assert rms_px(np.array(frame.transform), identity(), (300, 400)) < 0.25


def test_a_bump_in_the_middle_is_followed(rendered: Render) -> None:
    scene = rendered(planes=9, shape=(300, 400))
    bumped = [
        np.roll(frame, (7, -12), axis=(0, 1)) if index >= 6 else frame
        for index, frame in enumerate(scene.frames)
    ]
    for frame in stack(bumped).report.frames[6:]:
        found = np.array(frame.transform)
        assert rms_px(found, np.array([[1, 0, 12], [0, 1, -7.0]]), (300, 400)) < 0.3


def breathed(scene: Any, scale_per_plane: float) -> list[tuple[NDArray[Any], Matrix]]:
    """Frames magnified about their middle, plane by plane, with their true places."""
    height, width = scene.frames[0].shape[:2]
    centre, half = np.array([width / 2, height / 2]), max(width, height) / 2
    frames = []
    for plane, frame in enumerate(scene.frames):
        scale = np.exp(scale_per_plane * (plane - len(scene.frames) // 2))
        outward = np.column_stack([np.eye(2) * scale, centre * (1 - scale)])
        moved = cv2.warpAffine(frame, outward, (width, height), flags=cv2.INTER_LANCZOS4)
        place = from_motion(np.array([0, 0, (1 / scale - 1) * half, 0]), (height, width))
        frames.append((moved, place))
    return frames


def test_alignment_starts_from_the_breathing_that_is_known(rendered: Render) -> None:
    """The reference shows nothing, so that what places the next frame is the prediction."""
    scene = rendered(planes=3, shape=(240, 320), colour=False)
    (_, _), (below, _), (above, true) = breathed(scene, 0.02)
    track = Track(breathing_per_um=0.02 / 50)
    track.place(np.full_like(below, 90), 1, z_um=50.0)
    placed = track.place(above, 2, z_um=100.0)
    assert "prediction" in placed.note
    assert rms_px(placed.matrix, true, (240, 320)) < 0.01


def test_what_looks_larger_than_the_known_breathing_allows_is_not_moved_for(
    rendered: Render,
) -> None:
    """Things that go out of focus seem to grow; the lens has not moved for that."""
    scene = rendered(planes=9, shape=(320, 400), slope_px=0.5, colour=False)
    places = [place for _, place in breathed(scene, 0.005)]
    grown = breathed(scene, 0.012)
    track = Track(breathing_per_um=0.005 / 10)
    for index in stacking_order(9, "middle"):
        found = track.place(grown[index][0], index, z_um=10.0 * index).matrix
        assert rms_px(found, places[index], (320, 400)) < 0.3


@pytest.mark.parametrize(("per_plane", "is_followed"), [(0.012, False), (0.004, True)])
def test_a_growth_that_no_rig_s_lens_can_have_is_no_magnification(
    rendered: Render, per_plane: float, is_followed: bool
) -> None:
    scene = rendered(planes=9, shape=(320, 400), slope_px=0.5, colour=False)
    frames = breathed(scene, per_plane)
    track = Track(most_breathing_per_um=0.008 / 10)
    places = {
        index: track.place(frames[index][0], index, z_um=10.0 * index).matrix
        for index in stacking_order(9, "middle")
    }
    outward_px = [motion_between(identity(), places[index], (320, 400))[2] for index in (0, 8)]
    true_px = [motion_between(identity(), frames[index][1], (320, 400))[2] for index in (0, 8)]
    expected = true_px if is_followed else [0, 0]
    assert outward_px == pytest.approx(expected, abs=0.1 * abs(true_px[0]))


def test_known_breathing_makes_the_magnification_of_noisy_stacks_better(rendered: Render) -> None:
    scene = rendered(planes=9, shape=(320, 400), noise=35.0, slope_px=1.5, colour=False)
    frames, errors_px = breathed(scene, 0.005), {}
    for breathing_per_um in (0.0, 0.005 / 10):
        track = Track(breathing_per_um=breathing_per_um)
        places = {
            index: track.place(frames[index][0], index, z_um=10.0 * index).matrix
            for index in stacking_order(9, "middle")
        }
        errors_px[breathing_per_um] = max(
            abs(motion_between(frames[index][1], places[index], (320, 400))[2]) for index in places
        )
    assert errors_px[0.005 / 10] < 0.5 * errors_px[0.0]


@pytest.mark.parametrize("kind", ["blank", "unrelated", "moved"])
def test_what_cannot_be_aligned_is_left_out_and_named(rendered: Render, kind: str) -> None:
    scene = rendered(planes=7, shape=(240, 320))
    rng = np.random.default_rng(9)
    strange = {
        "blank": np.full((240, 320, 3), 90, np.uint8),
        "unrelated": cv2.GaussianBlur(
            rng.integers(0, 255, (240, 320, 3), dtype=np.uint8), (0, 0), 2.0
        ),
        "moved": np.roll(scene.frames[5], (120, 170), axis=(0, 1)),
    }[kind]
    frames = [*scene.frames[:5], np.asarray(strange), scene.frames[6]]
    report = stack(frames).report
    assert used(report) == [True] * 5 + [False, True]
    assert list(notes(report)) == [5]
    assert "left out" in notes(report)[5]


def test_frames_beyond_a_lost_one_are_still_placed(rendered: Render) -> None:
    scene = rendered(planes=9, motion=0.5, shape=(300, 400))
    frames = list(scene.frames)
    frames[6] = np.full_like(frames[6], 120)
    report = stack(frames).report
    to_reference = invert(scene.motion[4])
    true = invert(compose(scene.motion[8], to_reference))
    assert rms_px(np.array(report.frames[8].transform), true, (300, 400)) < 0.5


def test_a_blank_reference_does_not_end_the_stack(rendered: Render) -> None:
    scene = rendered(planes=5)
    frames = list(scene.frames)
    frames[2] = np.full_like(frames[2], 100)
    report = stack(frames).report
    assert used(report) == [True, True, False, True, True]
    assert "shows nothing to align by" in report.frames[2].note


def test_brightness_does_not_disturb_alignment(rendered: Render) -> None:
    scene = rendered(planes=2, shape=(300, 400))
    track = Track()
    grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in scene.frames]
    track.place(np.asarray(grey[0], np.uint8), 0)
    darker = np.asarray(grey[1] // 2, np.uint8)
    placement = track.place(np.roll(darker, 5, axis=1), 1)
    assert rms_px(placement.matrix, np.array([[1, 0, -5], [0, 1, 0.0]]), (300, 400)) < 0.15


def test_16_bit_frames_align_as_8_bit_ones_do(rendered: Render) -> None:
    found = []
    for dtype in (np.uint8, np.uint16):
        scene = rendered(planes=5, motion=0.3, dtype=dtype, shape=(240, 320))
        found.append([np.array(frame.transform) for frame in stack(scene.frames).report.frames])
    for narrow, wide in zip(*found, strict=True):
        assert rms_px(narrow, wide, (240, 320)) < 0.1


def test_motions_and_matrices_are_two_views_of_one_thing() -> None:
    motion = np.array([3.0, -2.0, 1.5, 0.7])
    before = from_motion(np.array([1.0, 1.0, -4.0, 2.0]), (300, 400))
    after = compose(from_motion(motion, (300, 400)), before)
    assert np.allclose(motion_between(before, after, (300, 400)), motion, atol=1e-9)
    assert np.allclose(compose(invert(after), after), identity())
    halved = rescale(after, 0.5)
    assert np.allclose(halved[:, 2] * 2, after[:, 2])
    assert corner_motion_px(before, before, width=400, height=300) == 0
