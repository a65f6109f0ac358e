"""The motion of a part of the frame is told from its blur, even on a slope."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from zstackd.calibration.part_motion import motion_between
from zstackd_stacking.types import FloatMap

SIDE_PX = 48
SHIFT_PX = (0.31, -0.17)


def texture(seed: int) -> FloatMap:
    raw = np.random.default_rng(seed).standard_normal((4 * SIDE_PX, 4 * SIDE_PX), np.float32)
    smooth = cv2.GaussianBlur(raw, (0, 0), 1.6)
    return np.asarray(120 + 30 * smooth / smooth.std(), np.float32)


def blurred(scene: FloatMap, sigma_px: NDArray[np.float32]) -> FloatMap:
    """Blur each column by its own Gaussian."""
    columns = [cv2.GaussianBlur(scene, (0, 0), float(s))[:, i] for i, s in enumerate(sigma_px)]
    return np.stack(columns, axis=1)


def cut(plane: FloatMap, shift_px: tuple[float, float], seed: int) -> FloatMap:
    """Return the middle of `plane`, its content shifted, with noise."""
    matrix = np.array([[1, 0, shift_px[0]], [0, 1, shift_px[1]]], np.float64)
    moved = cv2.warpAffine(plane, matrix, plane.shape[::-1], flags=cv2.INTER_LANCZOS4)
    low = (plane.shape[0] - SIDE_PX) // 2
    part = moved[low : low + SIDE_PX, low : low + SIDE_PX]
    noise = np.random.default_rng(seed).standard_normal(part.shape, np.float32)
    return np.asarray(part + noise, np.float32)


def test_a_slope_in_two_planes_is_not_taken_for_motion() -> None:
    rising = np.linspace(0.1, 8.0, 4 * SIDE_PX, dtype=np.float32)
    off = []
    for seed in range(16):
        scene = texture(seed)
        motion = motion_between(
            cut(blurred(scene, rising), (0, 0), 2 * seed),
            cut(blurred(scene, rising[::-1]), SHIFT_PX, 2 * seed + 1),
        )
        assert motion is not None
        off.append(np.subtract(motion.shift_px, SHIFT_PX))
    assert np.sqrt(np.mean(np.square(off))) < 0.09


def test_an_edge_tells_little_of_the_way_along_it() -> None:
    x = np.arange(4 * SIDE_PX, dtype=np.float32)
    bars = np.tile(120 + 60 * np.sin(x / 3), (4 * SIDE_PX, 1)).astype(np.float32)
    plane = bars + np.float32(0.1) * texture(3)
    motion = motion_between(cut(plane, (0, 0), 1), cut(plane, SHIFT_PX, 2))
    assert motion is not None
    assert motion.known[0, 0] > 20 * motion.known[1, 1]
    assert motion.shift_px[0] == pytest.approx(SHIFT_PX[0], abs=0.02)


def test_a_plain_part_tells_nothing() -> None:
    plain = np.full((SIDE_PX, SIDE_PX), 120, np.float32)
    assert motion_between(plain, plain) is None
