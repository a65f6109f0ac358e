"""A track of frames: rigs that stand still, creep, shake and jump."""

from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from zstackd_stacking import stacking_order
from zstackd_stacking.alignment.track import Track
from zstackd_stacking.geometry import Matrix, corner_motion_px, identity, invert, shifted

Grey = NDArray[np.uint8]
SHAPE = (480, 640)
BALLS = (90, 100, 2), (520, 80, 7), (330, 250, 4), (110, 390, 9), (540, 380, 0)


def placed(frames: list[Grey], order: Iterable[int] | None = None) -> dict[int, Matrix]:
    track = Track()
    wanted = stacking_order(len(frames), "middle") if order is None else order
    return {index: track.place(frames[index], index).matrix for index in wanted}


def error_px(found: Matrix, true: Matrix) -> float:
    return corner_motion_px(found, true, width=SHAPE[1], height=SHAPE[0])


def noisy(picture: NDArray[np.float32], rng: np.random.Generator) -> Grey:
    return np.clip(picture + 1.5 * rng.standard_normal(SHAPE), 0, 255).astype(np.uint8)


def balls_that_defocus(planes: int) -> list[Grey]:
    """Bright balls on a dark, hardly textured ground; all that changes is their blur."""
    rng = np.random.default_rng(3)
    ground = 22 + 3 * cv2.GaussianBlur(rng.standard_normal(SHAPE).astype(np.float32), (0, 0), 1.0)
    frames = []
    for plane in range(planes):
        picture = np.asarray(cv2.GaussianBlur(ground, (0, 0), 0.5 + plane), np.float32)
        for x, y, height in (
            (90, 100, 2),
            (520, 80, 7),
            (330, 250, 4),
            (110, 390, 9),
            (540, 380, 0),
        ):
            cover = np.zeros(SHAPE, np.float32)
            cv2.circle(cover, (x, y), 42, 1.0, -1, cv2.LINE_AA)
            blur_px = 0.7 + 1.3 * abs(plane - height)
            cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), blur_px), np.float32)
            # Light adds up before the camera's curve, which widens what is bright.
            linear = (picture / 255) ** 2.2 * (1 - cover) + 0.75 * cover
            picture = np.asarray(255 * linear ** (1 / 2.2), np.float32)
        frames.append(noisy(picture, rng))
    return frames


@pytest.fixture(scope="module")
def texture() -> NDArray[np.float32]:
    rng = np.random.default_rng(5)
    shape = SHAPE[0] + 80, SHAPE[1] + 80
    parts = [cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), s) * 12 * s for s in (1, 3, 9)]
    return np.asarray(120 + np.sum(parts, axis=0), np.float32)


def moved(texture: NDArray[np.float32], motions: list[tuple[float, float]]) -> list[Grey]:
    """The texture from each of the places, a little more blurred from frame to frame."""
    rng = np.random.default_rng(6)
    frames = []
    for index, (dx, dy) in enumerate(motions):
        matrix = np.array([[1, 0, dx - 40], [0, 1, dy - 40.0]])
        blurred = cv2.GaussianBlur(texture, (0, 0), 0.7 + 0.1 * index)
        frame = cv2.warpAffine(blurred, matrix, SHAPE[::-1], flags=cv2.INTER_LINEAR)
        frames.append(noisy(np.asarray(frame, np.float32), rng))
    return frames


@pytest.mark.parametrize("growth", [0.0, 0.002], ids=["shifted", "magnified"])
def test_plain_bars_are_followed_though_their_blur_changes(growth: float) -> None:
    rng = np.random.default_rng(0)
    bars = np.full((900, 1200), 30, np.float32)
    for left in range(150, 1100, 170):
        cv2.rectangle(bars, (left, 100), (left + 60, 800), 160, -1)
    cv2.rectangle(bars, (100, 420), (1100, 440), 90, -1)
    corners = np.array([[0, 1200, 0, 1200], [0, 0, 900, 900], [1, 1, 1, 1]])
    track = Track()
    for plane in range(9):
        scale, shift = 1 + growth * plane, np.array([2.3, -1.4]) * plane * (growth == 0)
        motion = np.column_stack([np.eye(2) * scale, np.array([600, 450]) * (1 - scale) + shift])
        frame = cv2.warpAffine(bars, motion, (1200, 900), borderMode=cv2.BORDER_REPLICATE)
        frame = cv2.GaussianBlur(frame, (0, 0), 1 + 0.5 * abs(plane - 4))
        frame = np.clip(frame + rng.normal(0, 1.5, frame.shape), 0, 255)
        found = track.place(frame.astype(np.uint8), plane).matrix
        apart = found @ corners - invert(motion) @ corners
        assert np.sqrt(np.mean(np.sum(apart**2, axis=0))) < 0.4


def test_changing_defocus_of_bright_balls_is_no_motion() -> None:
    for matrix in placed(balls_that_defocus(11)).values():
        assert np.array_equal(matrix, identity())


def test_a_still_rig_is_exactly_still(rendered: Callable[..., Any]) -> None:
    scene = rendered(planes=7, colour=False, noise=4.0, shape=SHAPE)
    for matrix in placed(scene.frames).values():
        assert np.array_equal(matrix, identity())


@pytest.mark.parametrize("pace_px", [0.06, 0.2, 1.3])
def test_a_creeping_rig_is_not_taken_for_a_still_one(
    texture: NDArray[np.float32], pace_px: float
) -> None:
    path = [(pace_px * index, -pace_px * index / 2) for index in range(15)]
    for index, matrix in placed(moved(texture, path), range(15)).items():
        true = shifted(identity(), -path[index][0], -path[index][1])
        assert error_px(matrix, true) < 0.25, index


def test_a_shaking_rig_is_followed_from_frame_to_frame(texture: NDArray[np.float32]) -> None:
    rng = np.random.default_rng(8)
    path = [(0.0, 0.0), *(tuple(shake) for shake in 0.35 * rng.standard_normal((10, 2)))]
    errors = [
        error_px(matrix, shifted(identity(), -path[index][0], -path[index][1]))
        for index, matrix in placed(moved(texture, path), range(11)).items()
    ]
    assert np.sqrt(np.mean(np.square(errors))) < 0.12


def test_a_jump_after_standing_still_is_seen_at_once(texture: NDArray[np.float32]) -> None:
    path = [(0.0, 0.0)] * 5 + [(0.8, 0.0)] * 2
    found = placed(moved(texture, path), range(7))
    assert np.array_equal(found[4], identity())
    assert error_px(found[5], shifted(identity(), -0.8, 0)) < 0.1


def test_the_two_sides_do_not_know_of_each_other(rendered: Callable[..., Any]) -> None:
    scene = rendered(planes=7, motion=0.6, colour=False, shape=SHAPE)
    one_by_one = placed(scene.frames)
    mixed = placed(scene.frames, (3, 2, 4, 1, 5, 6, 0))
    for index, matrix in one_by_one.items():
        assert np.array_equal(matrix, mixed[index])


def test_a_frame_far_from_where_it_is_predicted_is_found(texture: NDArray[np.float32]) -> None:
    path = [(0.0, 0.0), (0.0, 0.0), (31.0, -22.0)]
    found = placed(moved(texture, path), range(3))
    assert error_px(found[2], invert(shifted(identity(), 31.0, -22.0))) < 0.25
