"""Focus and occlusion of the generator's scenes."""

import numpy as np
import pytest
from bench.scene import Scene, Thing
from bench.texture import surface
from numpy.typing import NDArray

from bench import things

Floats = NDArray[np.float32]
SHAPE = (160, 200)


def flat_ground(level: float = 0.2, depth: float = 0.0) -> tuple[Floats, Floats]:
    return np.full((*SHAPE, 3), level, np.float32), np.full(SHAPE, depth, np.float32)


def textured_ground(depth: float) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    return surface(rng, SHAPE), np.full(SHAPE, depth, np.float32)


def terrace(depth: float, level: float) -> Thing:
    mask = np.zeros(SHAPE, np.float32)
    mask[:, 100:] = 1
    return things.plateau(mask, np.full((*SHAPE, 3), level, np.float32), depth)


def test_a_ground_is_sharp_in_its_own_plane_and_ever_softer_away_from_it() -> None:
    scene = Scene(*textured_ground(4.0), slope_px=1.5)
    assert np.allclose(scene.at(4.0), scene.sharp(), atol=2e-3)
    detail = [float(np.diff(scene.at(plane)[..., 1], axis=1).std()) for plane in (4, 5, 6, 8)]
    assert detail == sorted(detail, reverse=True)
    assert detail[3] < 0.3 * detail[0]


def test_a_near_edge_veils_the_ground_as_far_as_its_disc_reaches() -> None:
    scene = Scene(*flat_ground(0.1), slope_px=1.0, things=[terrace(10.0, 0.8)])
    veiled = scene.at(0.0)[80, :, 1]
    assert veiled[85] == pytest.approx(0.1, abs=1e-3)
    assert veiled[96] > 0.15
    assert veiled[100] == pytest.approx(0.45, abs=0.05)
    sharp = scene.at(10.0)[80, :, 1]
    assert sharp[96] == pytest.approx(0.1, abs=1e-3)
    assert sharp[104] == pytest.approx(0.8, abs=1e-3)


def test_the_nearer_thing_hides_the_farther_one_whatever_the_order_they_are_named_in() -> None:
    near, far = terrace(8.0, 0.8), terrace(4.0, 0.5)
    for pile in ([near, far], [far, near]):
        scene = Scene(*flat_ground(), slope_px=1.0, things=pile)
        assert scene.sharp()[80, 150, 0] == pytest.approx(0.8, abs=1e-3)
        depth, cover = scene.depth()
        assert depth[80, 150] == 8.0
        assert depth[80, 50] == 0.0
        assert (cover[80, 150], cover[80, 50]) == (1, 0)


def test_a_bead_is_highest_in_its_middle() -> None:
    ball = things.bead(
        np.random.default_rng(2), centre_px=(80, 100), radius_px=40, base=2.0, px_per_plane=10.0,
        colour=(0.5, 0.5, 0.5),
    )  # fmt: skip
    depth, cover = Scene(*flat_ground(), slope_px=1.0, things=[ball]).depth()
    assert depth[80, 100] == pytest.approx(2.0 + 4.0, abs=0.3)
    for offset in (20, 30, 36):
        expected = 2.0 + np.sqrt(40**2 - offset**2) / 10
        assert depth[80, 100 + offset] == pytest.approx(expected, abs=0.4)
    assert cover[80, 145] == 0


def test_a_fibre_is_opaque_all_along() -> None:
    points = np.stack([np.linspace(40, 120, 30), np.linspace(10, 190, 30)], 1).astype(np.float32)
    thread = things.fibre(
        np.random.default_rng(3), points_px=points, depths=np.linspace(2, 8, 30, dtype=np.float32),
        width_px=9.0, colour=(0.6, 0.6, 0.6),
    )  # fmt: skip
    scene = Scene(*flat_ground(0.0), slope_px=1.0, things=[thread])
    along = scene.sharp()[points[2:-2, 0].astype(int), points[2:-2, 1].astype(int), 1]
    assert along.min() > 0.3
    depth, _ = scene.depth()
    assert depth[40 + 20, 10 + 45] == pytest.approx(2 + 6 * 0.25, abs=0.4)


def test_each_surface_is_about_as_bright_as_asked() -> None:
    for level in (0.05, 0.4):
        ground = surface(np.random.default_rng(4), SHAPE, level=level)
        assert ground.mean() == pytest.approx(level, rel=0.25)
        assert ground.shape == (*SHAPE, 3)
