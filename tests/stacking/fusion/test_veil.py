"""Veils of near objects: foretold, and taken off the ground beside them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers
from tests.stacking.fusion.veils import Plate, disc, halo_levels, plate
from tests.stacking.stacked import stacked

from zstackd_stacking import StackOptions
from zstackd_stacking.fusion import finish
from zstackd_stacking.fusion.unveil import Scene
from zstackd_stacking.fusion.veil import veil, veil_of_some
from zstackd_stacking.types import as_floats

STILL = StackOptions(align=False, depth=False)


@pytest.mark.parametrize("radius_px", [2.0, 4.0, 6.5, 9.0])
def test_what_a_straight_edge_hides_is_the_part_of_its_disc_beyond_it(radius_px: float) -> None:
    heights = np.zeros((60, 80), np.float32)
    heights[:, :40] = radius_px
    light = np.full_like(heights, 0.5)
    hidden, spread = veil(heights, light, 0.3)
    cover = as_floats(heights > 0)
    wanted = disc(cover, radius_px)[30, 40:60]
    assert np.abs(hidden[30, 40:60] - wanted).max() < 0.05
    np.testing.assert_allclose(spread, hidden * 0.5, atol=1e-6)
    assert not hidden[:, :40].any()


def test_a_slope_hides_nothing() -> None:
    heights = as_floats(np.add.outer(np.arange(90) * 0.02, np.arange(150) * 0.03))
    hidden, _ = veil(heights, np.ones_like(heights), 0.4)
    assert hidden.max() < 0.01


def test_what_is_far_from_all_steps_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    heights, light = np.zeros((90, 120), np.float32), as_floats(rng.uniform(0, 1, (90, 120)))
    heights[40:50, 50:60] = 6
    whole = veil(heights, light, 0.4)
    cut = veil(heights[20:70, 30:80].copy(), light[20:70, 30:80].copy(), 0.4)
    for part, other in zip(whole, cut, strict=True):
        np.testing.assert_allclose(part[20:70, 30:80], other, atol=1e-5)
        assert not part[:28].any()


@given(seed=integers(0, 10_000), spread_px=floats(0.05, 30.0), most=integers(1, 400))
@settings(max_examples=60, deadline=None)
def test_veils_of_some_places_are_those_of_all(seed: int, spread_px: float, most: int) -> None:
    rng = np.random.default_rng(seed)
    light = as_floats(rng.uniform(0, 1, (40, 56)))
    heights = as_floats(rng.choice([0.0, 0.3, 1.0], (40, 56), p=[0.8, 0.15, 0.05]) * spread_px)
    among = rng.uniform(0, 1, light.shape) < 0.7
    least = 0.1 * spread_px
    hidden, spread = veil(heights, light, least)
    places, share, there = veil_of_some(heights, light, least, among=among, most=most)
    assert len(places) <= most
    assert among.ravel()[places].all()
    np.testing.assert_allclose(share, hidden.ravel()[places], atol=2e-6)
    np.testing.assert_allclose(there, spread.ravel()[places], atol=2e-6)
    every, *_ = veil_of_some(heights, light, least, among=among, most=light.size)
    assert set(np.flatnonzero(among & (hidden > 0))) <= set(every.tolist())


@pytest.fixture(scope="module", params=[0.6, 0.02], ids=["bright", "dark"])
def scene(request: pytest.FixtureRequest) -> Plate:
    return plate(brightness=request.param)


@pytest.mark.parametrize("turned", [False, True], ids=["near last", "near first"])
def test_ground_beside_a_plate_has_its_own_brightness(
    scene: Plate, monkeypatch: pytest.MonkeyPatch, *, turned: bool
) -> None:
    frames = scene.frames[::-1] if turned else scene.frames
    halo = halo_levels(stacked(frames, STILL).image, scene)
    monkeypatch.setattr(finish, "correction", _nothing)
    before = halo_levels(stacked(frames, STILL).image, scene)
    assert halo < 0.75 * before
    assert halo < 3.0


def test_the_order_of_the_sides_changes_nothing(scene: Plate) -> None:
    mixed = [7, 6, 8, 9, 5, 4, 10, 3, 2, 11, 1, 12, 0, 13, 14]
    one, other = (stacked(scene.frames, STILL, order=order).image for order in (None, mixed))
    assert np.abs(one.astype(int) - other).max() <= 1


def test_16_bits_come_out_as_8_do(scene: Plate) -> None:
    fine = stacked([frame.astype(np.uint16) * 257 for frame in scene.frames], STILL).image
    assert np.abs(fine / 257 - stacked(scene.frames, STILL).image).max() < 1.5


def _nothing(*_: Any) -> None:
    return None


def test_chance_agreement_of_few_places_turns_no_scene() -> None:
    """Discs reach places all over a steep relief, of which noise in heights veils a few."""
    rng = np.random.default_rng(3)
    x, y = np.meshgrid(np.arange(256), np.arange(192))
    heights = as_floats(9 * np.sin(x / 30) * np.cos(y / 25))
    heights[rng.uniform(0, 1, heights.shape) < 0.002] += 6
    light = as_floats(rng.uniform(0.2, 0.6, heights.shape))
    scene = Scene(heights, light, light, np.ones_like(light), least=2.0)
    foretold = scene.coarser().unveiled()
    assert 0 < np.mean(foretold.hidden > 0.05) < 0.005
    blend = light.copy()
    blend[::2, ::2] = foretold.clear  # just as these veils have it
    assert replace(scene, fused=blend).facing() is None
