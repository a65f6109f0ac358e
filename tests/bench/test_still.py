"""Rendered stacks of which nothing moves but the focus: alignment leaves them where they are."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
from bench.cases import CASES
from numpy.typing import NDArray

from zstackd_stacking.alignment.track import Track
from zstackd_stacking.geometry import identity

SIZE_PX = (512, 384)


def grey_frames(
    name: str, seed: int, planes: Sequence[int], *, of: int
) -> Iterator[NDArray[np.uint8]]:
    """Some planes `of` one of the benchmark's cases in little, still and in grey."""
    case = replace(CASES[name].of_size(SIZE_PX, of), seed=seed)
    scene = case.build(case, np.random.default_rng(seed), case.canvas).scene
    rng = np.random.default_rng(seed + 1000)
    inner = tuple(slice(case.margin_px, -case.margin_px) for _ in range(2))
    for plane in planes:
        frame = case.sensor.expose(scene.at(plane)[inner], rng)
        yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)


@pytest.mark.parametrize("seed", [14, 15])
def test_growing_discs_of_bright_balls_are_no_magnification(seed: int) -> None:
    """From the middle plane down all balls go out of focus; all their edges move outward."""
    track, planes = Track(), range(16, 9, -1)
    for plane, frame in zip(planes, grey_frames("beads", seed, planes, of=32), strict=True):
        placement = track.place(frame, plane)
        assert placement.used
        np.testing.assert_array_equal(placement.matrix, identity())


@pytest.mark.parametrize("seed", [11, 12])
def test_planes_so_far_apart_that_they_have_no_detail_in_common_are_left_in_place(
    seed: int,
) -> None:
    """The disc of defocus grows by some 25 px from each frame to the next."""
    track, planes = Track(), [110, 132, 154, 176, 198, 88, 66, 44, 22, 0]
    for plane, frame in zip(planes, grey_frames("relief", seed, planes, of=200), strict=True):
        np.testing.assert_array_equal(track.place(frame, plane).matrix, identity())
