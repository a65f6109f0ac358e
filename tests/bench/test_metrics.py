"""Each figure against errors of known size."""

from dataclasses import replace

import numpy as np
import pytest
from bench.metrics import (
    RING_PX,
    chroma_error,
    depth_scores,
    flat_mask,
    halo,
    noise,
    psnr_db,
    ring_mask,
    rms,
    scores,
    ssim_map,
    textured_mask,
)
from bench.truth import View
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SHAPE = (200, 260)


@pytest.fixture
def view() -> View:
    """A rough picture with an object of 40 x 40 px in the middle and a bare right quarter."""
    rng = np.random.default_rng(0)
    covered = np.zeros(SHAPE, bool)
    covered[80:120, 100:140] = True
    textured = np.ones(SHAPE, bool)
    textured[:, 195:] = False
    image = rng.uniform(90, 160, (*SHAPE, 3)).astype(np.float32)
    return View(image, np.full(SHAPE, 3.0, np.float32), np.ones(SHAPE, bool), covered, textured)


def test_a_perfect_picture(view: View) -> None:
    got = scores(view.image, view)
    assert got.psnr_db > 150
    assert got.ssim == pytest.approx(1)
    assert (got.ring, got.chroma, got.flat) == (0, 0, 0)


def test_psnr_of_a_known_error(view: View) -> None:
    assert psnr_db(view.image, view.image + np.float32(2.55)) == pytest.approx(40)


def test_ssim_falls_with_noise() -> None:
    rng = np.random.default_rng(1)
    image = rng.uniform(0, 255, SHAPE).astype(np.float32)
    means = [
        float(
            ssim_map(
                image, image + np.float32(sigma) * rng.standard_normal(SHAPE, np.float32)
            ).mean()
        )
        for sigma in (2, 20, 60)
    ]
    assert means == sorted(means, reverse=True)
    assert means[0] > 0.99


def test_the_ring_surrounds_the_object_and_feels_only_what_lies_in_it(view: View) -> None:
    ring = ring_mask(view)
    assert not (ring & view.covered).any()
    assert ring[100, 100 - 10]
    assert not ring[100, int(100 - RING_PX[1] - 3)]
    glowing, covered = view.image.copy(), view.image.copy()
    glowing[ring] += 6
    covered[view.covered] += 50
    assert scores(glowing, view).ring == pytest.approx(6, rel=1e-3)
    assert scores(covered, view).ring == 0


def test_noise_is_no_halo(view: View) -> None:
    ring = ring_mask(view)
    noisy = np.random.default_rng(3).normal(0, 3, SHAPE).astype(np.float32)
    assert halo(noisy, ring) < 0.6
    assert halo(noisy + np.float32(4), ring) == pytest.approx(4, rel=0.05)


def test_no_ring_and_no_flat_place_without_objects_and_bare_ground(view: View) -> None:
    plain = replace(view, covered=np.zeros(SHAPE, bool), textured=np.ones(SHAPE, bool))
    got = scores(view.image, plain)
    assert got.ring is None
    assert got.flat is None


def test_a_tint_is_a_chroma_error_and_light_is_none(view: View) -> None:
    brighter = view.image + np.float32(5)
    tinted = view.image.copy()
    tinted[..., 2] += 5
    assert chroma_error(brighter, view) == pytest.approx(0, abs=1e-3)
    blue = 0.564 * 5 * 0.299
    red = 0.713 * 5 * (1 - 0.299)
    assert chroma_error(tinted, view) == pytest.approx((blue + red) / 2, rel=1e-3)


def test_noise_of_flat_places_leaves_slow_errors_out(view: View) -> None:
    mask = flat_mask(view)
    assert mask.any()
    assert not mask[:, :195].any()
    slow = np.linspace(0, 30, SHAPE[1], dtype=np.float32) * np.ones(SHAPE, np.float32)
    fine = np.random.default_rng(2).normal(0, 3, SHAPE).astype(np.float32)
    assert noise(slow, mask) < 0.5
    assert noise(fine, mask) == pytest.approx(3, rel=0.1)


def test_depth_is_judged_on_textured_ground_clear_of_objects(view: View) -> None:
    depth = view.depth + np.float32(0.2)
    depth[view.covered] += 100
    depth[:, 195:] += 100
    confidence = np.ones(SHAPE, np.float32)
    confidence[:, 195:] = 0.1
    got = depth_scores(depth, confidence, view)
    assert got.median == pytest.approx(0.2, abs=1e-6)
    assert got.rmse == pytest.approx(0.2, abs=1e-6)
    assert got.everywhere_rmse > 10
    assert got.sure == pytest.approx(195 / SHAPE[1])
    assert 10 < got.sure_rmse < got.everywhere_rmse


def test_ground_too_weak_for_the_noise_is_no_textured_ground(view: View) -> None:
    image = view.image.copy()
    image[:, :100] = 120 + np.random.default_rng(4).normal(0, 1, (SHAPE[0], 100, 1))
    textured = textured_mask(replace(view, image=image))
    assert not textured[:, :60].any()
    assert textured[:, 140:190].all()
    assert not textured[:, 195:].any()


def test_rms() -> None:
    assert rms(np.array([3, -4], np.float32)) == pytest.approx(np.sqrt(12.5))
