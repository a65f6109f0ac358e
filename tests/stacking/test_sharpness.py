"""The measure of a frame's sharpness: monotonic in blur, blind to noise and exposure."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from zstackd_stacking.sharpness import Region, sharpness

Bytes = NDArray[np.uint8]


def textured(seed: int = 1) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    fine = cv2.GaussianBlur(rng.normal(size=(240, 320)).astype(np.float32), (0, 0), 2.0)
    return np.asarray(110 + 25 * fine / fine.std(), np.float32)


def to_bytes(values: NDArray[np.float32]) -> Bytes:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def test_more_blur_is_less_sharp() -> None:
    blurred = [cv2.GaussianBlur(textured(), (0, 0), sigma) for sigma in (0.5, 1, 2, 3, 5, 8)]
    measured = [sharpness(to_bytes(np.asarray(image, np.float32))) for image in blurred]
    assert measured == sorted(measured, reverse=True)
    assert measured[0] > 5 * measured[-1]


def test_strong_pixel_noise_changes_little() -> None:
    clean = sharpness(to_bytes(textured()))
    rng = np.random.default_rng(2)
    noisy = [
        sharpness(to_bytes(textured() + rng.normal(0, 15, (240, 320)).astype(np.float32)))
        for _ in range(10)
    ]
    assert np.mean(noisy) == pytest.approx(clean, rel=0.05)


def test_exposure_does_not_matter() -> None:
    assert sharpness(to_bytes(0.6 * textured())) == pytest.approx(
        sharpness(to_bytes(textured())), rel=0.03
    )


def test_depth_and_channels_do_not_matter() -> None:
    grey = to_bytes(textured())
    assert sharpness(grey.astype(np.uint16) * 257) == pytest.approx(sharpness(grey), rel=1e-3)
    assert sharpness(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR).astype(np.uint8)) == pytest.approx(
        sharpness(grey), rel=1e-3
    )


def test_black_is_not_sharp() -> None:
    assert sharpness(np.zeros((64, 64), np.uint8)) == 0.0


def test_a_region_is_cut_or_refused() -> None:
    image = to_bytes(textured())
    assert Region(10, 20, 64, 48).of(image).shape == (48, 64)
    with pytest.raises(ValueError, match="leaves the frame of 320 x 240 px"):
        Region(300, 0, 64, 64).of(image)
    with pytest.raises(ValueError, match="at least 32 px"):
        Region(0, 0, 64, 16).of(image)
