"""Depth-map stacking against rendered truth, and which of two surfaces it shows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.stacking.methods.test_methods import each_by_depth, mean_error, still, texture
from tests.stacking.stacked import stacked

from zstackd_stacking import StackOptions
from zstackd_stacking.alignment.track import Placement
from zstackd_stacking.geometry import identity
from zstackd_stacking.heights.priority import FirstHill
from zstackd_stacking.methods.composition import Composition
from zstackd_stacking.methods.intake import Placed
from zstackd_stacking.types import Method

Render = Callable[..., Any]

NEAR_PLANE, FAR_PLANE, PLANES = 2, 7, 10
NEAR_AND_FAR: tuple[Method, Method] = ("near", "far")


def two_layers(near_contrast: float = 10.0, far_contrast: float = 16.0) -> list[NDArray[np.uint8]]:
    """A finely textured veil before a finely textured wall, in focus in planes of their own."""
    veil, wall = texture((160, 200), 1), texture((160, 200), 2)
    frames = []
    for plane in range(PLANES):
        picture = 110 + np.zeros_like(veil)
        for layer, contrast, focus in (
            (veil, near_contrast, NEAR_PLANE),
            (wall, far_contrast, FAR_PLANE),
        ):
            sigma_px = 0.01 + 1.1 * abs(plane - focus)
            picture += contrast * cv2.GaussianBlur(layer, (0, 0), sigma_px)
        noise = np.random.default_rng(plane).standard_normal(veil.shape)
        frames.append(np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8))
    return frames


@each_by_depth
def test_fused_image_beats_every_frame_by_far(rendered: Render, method: Method) -> None:
    scene = rendered(planes=9, slope_px=1.2)
    best = min(mean_error(frame, scene.sharp) for frame in scene.frames)
    assert mean_error(stacked(scene.frames, still(method)).image, scene.sharp) < 0.5 * best


@each_by_depth
def test_brightness_of_frames_does_not_show(rendered: Render, method: Method) -> None:
    scene = rendered(planes=9, slope_px=1.2, flicker=0.1)
    image = stacked(scene.frames, still(method)).image
    columns = image[8:-8].mean(axis=(0, 2)) - scene.sharp[8:-8].mean(axis=(0, 2))
    assert np.std(columns) < 1.5


@each_by_depth
def test_heights_are_right_in_micrometres(rendered: Render, method: Method) -> None:
    scene = rendered(planes=7, slope_px=1.2, relief="waves")
    heights = [100 - 2.5 * index for index in range(7)]
    depth_um = stacked(scene.frames, still(method), z_um=heights).depth_um
    assert depth_um is not None
    error = np.abs(depth_um - (100 - 2.5 * scene.depth))[20:-20, 20:-20]
    assert float(np.median(error)) < 0.25 * 2.5


def test_heights_are_left_out_where_nobody_wants_them(rendered: Render) -> None:
    frames = rendered(planes=3, shape=(60, 80)).frames
    with_heights = stacked(frames, still("depthmap"))
    without = stacked(frames, replace(still("depthmap"), depth=False))
    assert with_heights.depth_um is not None
    assert without.depth_um is None
    np.testing.assert_array_equal(without.image, with_heights.image)


@pytest.mark.parametrize("contrasts", [(10.0, 16.0), (16.0, 10.0), (12.0, 12.0)])
def test_near_and_far_each_show_one_of_two_surfaces(contrasts: tuple[float, float]) -> None:
    frames = two_layers(*contrasts)
    assert mean_error(stacked(frames, still("near")).image, frames[NEAR_PLANE]) < 1.5
    assert mean_error(stacked(frames, still("far")).image, frames[FAR_PLANE]) < 1.5


def test_the_default_shows_both_of_two_surfaces() -> None:
    frames = two_layers(12.0, 12.0)
    image = stacked(frames, StackOptions(align=False)).image
    for plane in (NEAR_PLANE, FAR_PLANE):
        assert mean_error(image, frames[plane]) > 3


def test_depthmap_shows_the_sharper_one() -> None:
    for contrasts, plane in (((10.0, 20.0), FAR_PLANE), ((20.0, 10.0), NEAR_PLANE)):
        frames = two_layers(*contrasts)
        assert mean_error(stacked(frames, still("depthmap")).image, frames[plane]) < 2


@pytest.mark.parametrize(
    ("first_um", "step_um", "high_is_near", "shown_by_near"),
    [
        (None, None, None, NEAR_PLANE),
        (None, None, True, FAR_PLANE),
        (0.0, 5.0, None, FAR_PLANE),
        (90.0, -5.0, None, NEAR_PLANE),
        (0.0, 5.0, False, NEAR_PLANE),
        (90.0, -5.0, False, FAR_PLANE),
    ],
)
def test_where_near_is(
    first_um: float | None, step_um: float | None, high_is_near: bool | None, shown_by_near: int
) -> None:
    frames = two_layers()
    z_um = None
    if first_um is not None and step_um is not None:
        z_um = [first_um + step_um * index for index in range(PLANES)]
    options = StackOptions(method="near", align=False, high_is_near=high_is_near)
    near, far = (stacked(frames, replace(options, method=m), z_um=z_um) for m in NEAR_AND_FAR)
    assert mean_error(near.image, frames[shown_by_near]) < 1.5
    assert mean_error(far.image, frames[NEAR_PLANE + FAR_PLANE - shown_by_near]) < 1.5


def test_a_faint_hill_is_no_surface() -> None:
    frames = two_layers(near_contrast=2.0, far_contrast=30.0)
    assert mean_error(stacked(frames, still("near")).image, frames[FAR_PLANE]) < 2


def test_what_follows_the_first_high_hill_stays_below_its_top() -> None:
    curve = [0, 1.5, 0, 0.5, 3.0, 4.0, 3.0, 3.05, 1.0, 5.0, 2.0]  # a low hill, two high ones
    hill = FirstHill(np.full((1, 1), max(curve), np.float32), floor=0.0)
    seen = [float(hill.pressed(np.full((1, 1), value, np.float32))[0, 0]) for value in curve]
    assert int(np.argmax(seen)) == 5
    assert seen[:9] == pytest.approx(curve[:9])
    assert max(seen[9:]) < 4


def flat(level: int, index: int) -> Placed:
    """A frame without any detail."""
    image = np.full((40, 60), level, np.uint8)
    still_there = Placement(identity(), used=True, residual_px=None)
    return Placed(index, "", None, image, image, still_there, None, None, 1.0, 1.0)


def composed(places: NDArray[np.float32], levels: list[int]) -> NDArray[Any]:
    composition = Composition(places, reference=0)
    for plane, level in enumerate(levels):
        composition.add(flat(level, plane), plane)
    return composition.image(np.dtype(np.uint8))


def test_at_a_step_the_planes_in_between_are_not_shown() -> None:
    step = np.repeat(np.array([[0, 4]], np.float32), 15, axis=1) + np.zeros((20, 1), np.float32)
    image = composed(step, [50, 255, 255, 255, 60])
    assert set(np.unique(image)) <= set(range(50, 61))
    assert (image[:, :24] == 50).all()
    assert (image[:, 36:] == 60).all()


def test_on_a_slope_one_plane_passes_into_the_next() -> None:
    slope = np.linspace(0, 2, 30, dtype=np.float32) + np.zeros((20, 1), np.float32)
    image = composed(slope, [50, 100, 150])
    expected = np.interp(np.arange(60) / 2 - 0.25, np.arange(30), 50 + 50 * slope[0])
    assert np.abs(image[:, 4:-4] - expected[4:-4]).max() < 6
    assert (np.diff(image[0].astype(int)) >= 0).all()
