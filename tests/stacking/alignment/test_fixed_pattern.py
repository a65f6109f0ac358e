"""What stays on the sensor while the subject drifts and breathes does not hold the frames."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from zstackd_stacking import stacking_order
from zstackd_stacking.alignment.defects import without_defects
from zstackd_stacking.alignment.track import Track
from zstackd_stacking.geometry import Matrix, compose, corner_motion_px, identity, invert

Floats = NDArray[np.float32]
Grey = NDArray[np.uint8] | NDArray[np.uint16]
SHAPE = HEIGHT, WIDTH = 300, 400
PLANES = 9
TOP = 255.0
ROOM = 40


@pytest.fixture(scope="module")
def subject() -> Floats:
    """A weak texture of 5 levels rms upon 90."""
    rng = np.random.default_rng(11)
    shape = HEIGHT + 2 * ROOM, WIDTH + 2 * ROOM
    parts = [cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), s) * s for s in (1, 3, 9)]
    texture = np.sum(parts, axis=0)
    return np.asarray(90 + 5 * texture / texture.std(), np.float32)


def place(plane: int, pace: float) -> Matrix:
    """Where the subject lies: 2 px of drift and a fifth of a percent of breathing per plane."""
    along = pace * (plane - PLANES // 2)
    matrix = np.array(cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 0, 1 + 0.002 * along))
    matrix[:, 2] += np.array((2.0 * along, -1.2 * along))
    return np.asarray(matrix, np.float64)


def seen(subject: Floats, pace: float, pattern: Callable[[Floats], Floats]) -> list[Grey]:
    rng = np.random.default_rng(12)
    frames: list[Grey] = []
    for plane in range(PLANES):
        blurred = cv2.GaussianBlur(subject, (0, 0), 0.7 + 0.15 * abs(plane - PLANES // 2))
        onto = compose(place(plane, pace), np.array([[1, 0, -ROOM], [0, 1, -ROOM]], np.float64))
        picture = cv2.warpAffine(blurred, onto, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        noise = rng.standard_normal(SHAPE, np.float32)
        shown = pattern(np.asarray(picture, np.float32) + noise)
        frames.append(np.clip(np.rint(shown), 0, TOP).astype(np.uint8))
    return frames


def nothing(picture: Floats) -> Floats:
    return picture


def saturated_columns(picture: Floats) -> Floats:
    for x, width in ((31, 1), (90, 2), (160, 3), (233, 1), (301, 2), (366, 12)):
        picture[:, x : x + width] = TOP
    return picture


def dead_rows(picture: Floats) -> Floats:
    return np.where(np.isin(np.arange(HEIGHT), (40, 41, 133, 250))[:, None], 0, picture)


def hot_pixels(picture: Floats) -> Floats:
    rng = np.random.default_rng(13)
    picture[rng.integers(0, HEIGHT, 600), rng.integers(0, WIDTH, 600)] = TOP
    return picture


def dust(picture: Floats) -> Floats:
    rng = np.random.default_rng(14)
    light = np.ones(SHAPE, np.float32)
    for _ in range(24):
        x, y, radius = rng.integers(0, WIDTH), rng.integers(0, HEIGHT), rng.integers(3, 11)
        cv2.circle(light, (int(x), int(y)), int(radius), 0.6, -1, cv2.LINE_AA)
    return np.asarray(picture * cv2.GaussianBlur(light, (0, 0), 1.5), np.float32)


def reflection(picture: Floats) -> Floats:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    from_middle = np.hypot(x - 0.6 * WIDTH, y - 0.45 * HEIGHT)
    ring = 60 * (np.abs(from_middle - 50) < 5) + 60 * np.exp(-((from_middle / 25) ** 2))
    return np.asarray(picture + cv2.GaussianBlur(ring, (0, 0), 1.5), np.float32)


def all_of_it(picture: Floats) -> Floats:
    return saturated_columns(hot_pixels(dust(picture)))


PATTERNS = [saturated_columns, dead_rows, hot_pixels, dust, reflection, all_of_it]


def errors_px(frames: list[Grey], pace: float) -> list[float]:
    """How wrong the frames lie that are used, at the worst corner."""
    track, middle = Track(), PLANES // 2
    errors = []
    for index in stacking_order(PLANES, "middle"):
        placement = track.place(frames[index], index)
        true = compose(place(middle, pace), invert(place(index, pace)))
        if placement.used:
            errors.append(corner_motion_px(placement.matrix, true, width=WIDTH, height=HEIGHT))
    return errors


@pytest.mark.parametrize("pace", [0.3, 1.0])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_moving_subject_is_followed_behind_what_stays_on_the_sensor(
    subject: Floats, pattern: Callable[[Floats], Floats], pace: float
) -> None:
    errors = errors_px(seen(subject, pace, pattern), pace)
    assert len(errors) == PLANES
    assert max(errors) < 0.75


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_still_rig_stays_still_behind_it(
    subject: Floats, pattern: Callable[[Floats], Floats]
) -> None:
    track = Track()
    for index, frame in enumerate(seen(subject, 0.0, pattern)):
        assert np.array_equal(track.place(frame, index).matrix, identity())


@pytest.mark.parametrize("pattern", [saturated_columns, hot_pixels])
def test_it_is_the_same_in_16_bits(subject: Floats, pattern: Callable[[Floats], Floats]) -> None:
    def deep(frames: list[Grey]) -> list[Grey]:
        return [frame.astype(np.uint16) * 257 for frame in frames]

    assert max(errors_px(deep(seen(subject, 1.0, pattern)), 1.0)) < 0.75


def test_a_bright_field_with_a_straight_edge_is_no_defect(subject: Floats) -> None:
    """An evenly saturated third of the picture is its background, and its edge the subject."""

    lit = subject.copy()
    lit[:, : WIDTH // 3 + ROOM] = 300
    assert max(errors_px(seen(lit, 1.0, nothing), 1.0)) < 0.75


@pytest.mark.parametrize("step", [40, 50, 60])
def test_twelve_bits_of_sixteen_are_no_stuck_lines(subject: Floats, step: int) -> None:
    """They vary by few of the type's levels, many columns by less than a bad JPEG would."""
    frames: list[Grey] = [frame.astype(np.uint16) * step for frame in seen(subject, 1.0, nothing)]
    assert np.array_equal(without_defects(frames[0], 257.0), frames[0])
    assert max(errors_px(frames, 1.0)) < 0.75
