"""The built-in specimens: deep, textured, the same for the same seed."""

from typing import Literal

import numpy as np
import pytest

from zstackd_drivers.simulated.truth import all_in_focus, height_map, measurable
from zstackd_drivers.specimens.catalogue import PAINTERS, build_specimen
from zstackd_drivers.specimens.sheet import Sheet, spread, window
from zstackd_drivers.specimens.specimen import DEPTH_UM, TILE_PX

SIZE_PX = (320, 240)
Name = Literal["diatom", "board", "insect"]
NAMES: list[Name] = sorted(PAINTERS)


@pytest.mark.parametrize("name", NAMES)
def test_layers_fill_whole_tiles_and_the_ground_is_opaque(name: Name) -> None:
    specimen = build_specimen(name, size_px=SIZE_PX, seed=1)
    height, width = specimen.layers[0].alpha.shape
    assert width % TILE_PX == height % TILE_PX == 0
    assert (width, height) > SIZE_PX
    for layer in specimen.layers:
        assert layer.colour.shape == (height, width, 3)
        assert layer.alpha.shape == layer.height_um.shape == (height, width)
        assert layer.alpha.any()
    assert specimen.layers[0].alpha.min() == 255


@pytest.mark.parametrize("name", NAMES)
def test_heights_are_within_the_depth_and_use_most_of_it(name: Name) -> None:
    specimen = build_specimen(name, size_px=SIZE_PX, seed=1)
    heights = height_map(specimen)
    assert heights.min() >= -5
    assert heights.max() <= DEPTH_UM + 5
    assert np.ptp(heights) > 0.75 * DEPTH_UM
    assert all(np.isfinite(layer.height_um).all() for layer in specimen.layers)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_paints_the_same_and_another_one_differs(name: Name) -> None:
    first, again, other = (
        all_in_focus(build_specimen(name, size_px=SIZE_PX, seed=seed)) for seed in (5, 5, 6)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", NAMES)
def test_most_of_it_has_texture_and_little_is_saturated(name: Name) -> None:
    specimen = build_specimen(name, size_px=SIZE_PX, seed=1)
    image = all_in_focus(specimen)
    assert measurable(image, height_map(specimen), noise=1.0).mean() > 0.25
    assert (image == 255).all(axis=2).mean() < 0.03
    assert 30 < image.mean() < 150


def test_a_part_put_later_lies_over_an_earlier_one_and_heights_run_on() -> None:
    sheet = Sheet((64, 64))
    for x, colour, height in ((24.0, 50.0, 10.0), (40.0, 200.0, 90.0)):
        on = window(sheet.canvas_px, centre_px=(x, 32.0), reach_px=12)
        sheet.put(
            on,
            colour=np.full((*on.u.shape, 3), colour, np.float32),
            inside_px=np.asarray(10 - np.hypot(on.u, on.v), np.float32),
            height_um=np.full(on.u.shape, height, np.float32),
        )
    layer = sheet.layer()
    assert layer.colour[32, 20, 0] == 50
    assert layer.colour[32, 33, 0] == 200
    assert layer.height_um[32, 33] == 90
    assert layer.alpha[0, 0] == 0
    assert 10 <= layer.height_um[0, 0] <= 90


def test_spread_keeps_what_is_known_and_stays_within_it() -> None:
    values = np.zeros((50, 70), np.float32)
    known = np.zeros_like(values)
    values[10, 10], values[40, 60] = 3.0, 8.0
    known[10, 10] = known[40, 60] = 1.0
    filled = spread(values, known)
    assert (filled[10, 10], filled[40, 60]) == (3.0, 8.0)
    assert filled.min() >= 3.0 - 1e-4
    assert filled.max() <= 8.0 + 1e-4
    assert filled[12, 12] < filled[38, 58]
