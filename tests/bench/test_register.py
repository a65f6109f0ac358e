"""Registration must take out geometry and light, and nothing else."""

import cv2
import numpy as np
import pytest
from bench.metrics import psnr_db, scores
from bench.motion import compose, rms_over_field
from bench.register import registered
from bench.truth import Truth


def test_a_moved_and_relit_truth_is_found_again(moving: Truth) -> None:
    turned = np.array([[1.004, -0.006, 3.3], [0.006, 1.002, -2.4]])
    lies = compose(turned, moving.middle)
    picture = 1.08 * moving.view(lies, moving.size_px).image - 5
    found = registered(np.asarray(picture, np.float32), moving)
    assert rms_over_field(found.canvas_to_output, lies, moving.size_px) < 0.02
    assert scores(found.image, found.view).psnr_db > 48


def test_a_picture_on_a_larger_canvas_is_judged_where_the_frame_lies(moving: Truth) -> None:
    shift = np.array([[1.0, 0, 20], [0, 1, 12]])
    lies = compose(shift, moving.middle)
    size = (moving.size_px[0] + 30, moving.size_px[1] + 30)
    found = registered(moving.view(lies, size).image, moving)
    assert found.image.shape[:2] == size[::-1]
    judged = np.count_nonzero(found.view.inside)
    still = np.count_nonzero(moving.view(moving.middle, moving.size_px).inside)
    assert judged == pytest.approx(still, rel=0.02)
    assert scores(found.image, found.view).psnr_db > 48


def test_blur_and_noise_are_not_registered_out(moving: Truth) -> None:
    clean = moving.view(moving.middle, moving.size_px).image
    noisy = clean + np.random.default_rng(0).normal(0, 4, clean.shape).astype(np.float32)
    found = registered(np.asarray(noisy, np.float32), moving)
    assert psnr_db(found.image[found.view.inside], found.view.image[found.view.inside]) == (
        pytest.approx(20 * np.log10(255 / 4), abs=0.3)
    )
    soft = np.asarray(cv2.GaussianBlur(clean, (0, 0), 2.0), np.float32)
    blurred = registered(soft, moving)
    assert scores(blurred.image, blurred.view).ssim < 0.95


def test_a_picture_of_nothing_still_gets_its_bad_score(moving: Truth) -> None:
    rng = np.random.default_rng(1)
    noise = rng.uniform(0, 255, (moving.size_px[1], moving.size_px[0], 3)).astype(np.float32)
    found = registered(noise, moving)
    got = scores(found.image, found.view)
    assert got.ssim < 0.6
    assert got.psnr_db < 23
