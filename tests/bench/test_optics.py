"""Defocus, noise and light of the generator."""

import cv2
import numpy as np
import pytest
from bench.optics import GAMMA, Sensor, defocus, encode, vignette
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def spread_px2(image: Floats) -> float:
    """Variance along x of an image of a point."""
    x = np.arange(image.shape[1])
    weight = image.sum(axis=0, dtype=np.float64)
    weight /= weight.sum()
    return float(weight @ (x - weight @ x) ** 2)


def point(size: int = 201) -> Floats:
    image = np.zeros((size, size), np.float32)
    image[size // 2, size // 2] = 1
    return image


@pytest.mark.parametrize("radius_px", [3.5, 4.5, 6.9, 7.5, 16.0, 31.0])
def test_defocus_is_a_disc_of_the_radius(radius_px: float) -> None:
    blurred = defocus(point(), radius_px)
    assert blurred.sum() == pytest.approx(1, abs=1e-3)
    assert spread_px2(blurred) == pytest.approx(radius_px**2 / 4 + 1 / 12, rel=0.1)
    assert np.count_nonzero(blurred > 0.5 * blurred.max()) == pytest.approx(
        np.pi * radius_px**2, rel=0.15
    )


@pytest.mark.parametrize("size", [(91, 90), (90, 91), (93, 95)])
def test_wide_defocus_moves_nothing_whatever_the_size(size: tuple[int, int]) -> None:
    image = np.zeros(size, np.float32)
    image[40:50, 40:50] = 1
    y, x = np.indices(size)
    blurred = defocus(image, 16.0, border=cv2.BORDER_CONSTANT)
    assert np.average(y, weights=blurred) == pytest.approx(44.5, abs=0.3)
    assert np.average(x, weights=blurred) == pytest.approx(44.5, abs=0.3)


def test_no_defocus_changes_nothing() -> None:
    image = point(11)
    assert np.array_equal(defocus(image, 0.1), image)


def test_sensor_is_unbiased_and_noisier_in_the_light() -> None:
    rng = np.random.default_rng(1)
    dark, light = (np.full((200, 200, 3), value, np.float32) for value in (0.1, 0.6))
    frames = [Sensor(shot=1e-3).expose(level, rng).astype(np.float64) for level in (dark, light)]
    for frame, level in zip(frames, (dark, light), strict=True):
        assert frame.mean() == pytest.approx(float(encode(level).mean()), abs=0.5)
    linear = [(frame / 255) ** GAMMA for frame in frames]
    assert linear[1].std() / linear[0].std() == pytest.approx(np.sqrt(6), rel=0.1)


def test_vignette_is_full_light_in_the_centre_and_the_loss_in_the_corner() -> None:
    shading = vignette((101, 81), 0.4)
    assert shading[40, 50, 0] == pytest.approx(1, abs=1e-3)
    assert shading[0, 0, 0] == pytest.approx(0.6, abs=0.01)
