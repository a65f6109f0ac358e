"""Average and maximum are what microscopists know by these names, to the last bit."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.stacking.methods.test_methods import still
from tests.stacking.stacked import stacked

from zstackd_stacking import StackOptions
from zstackd_stacking.methods.projection import Average, Maximum

RNG = np.random.default_rng(12)


def noise(count: int, dtype: type, *, shape: tuple[int, ...] = (40, 50, 3)) -> list[NDArray[Any]]:
    top = int(np.iinfo(dtype).max)
    return [RNG.integers(0, top, shape, dtype=dtype, endpoint=True) for _ in range(count)]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(40, 50, 3), (40, 50)])
def test_they_are_exact(dtype: type, shape: tuple[int, ...]) -> None:
    frames = noise(7, dtype, shape=shape)
    mean = np.floor(np.mean(frames, axis=0) + 0.5)
    np.testing.assert_array_equal(stacked(frames, still("average")).image, mean)
    greatest = np.max(frames, axis=0)
    np.testing.assert_array_equal(stacked(frames, still("maximum")).image, greatest)


def test_the_average_of_many_white_16_bit_frames_is_white() -> None:
    average, white = Average(), np.full((2, 2), 65535, np.uint16)
    for _ in range(1000):
        average.add(white, None)
    assert (average.image() == 65535).all()


def test_intensities_are_not_evened_out() -> None:
    dark, bright = np.full((40, 40), 40, np.uint8), np.full((40, 40), 80, np.uint8)
    assert (stacked([dark, bright], still("average")).image == 60).all()
    assert (stacked([dark, bright], still("maximum")).image == 80).all()


def test_pixels_that_a_frame_has_not_do_not_count() -> None:
    inside = np.array([[1, 0]], np.uint8)
    average, maximum = Average(), Maximum()
    for projection in (average, maximum):
        projection.add(np.array([[10, 10]], np.uint8), None)
        projection.add(np.array([[30, 30]], np.uint8), inside)
    assert average.image().tolist() == [[20, 10]]
    assert maximum.image().tolist() == [[30, 10]]


def test_frames_given_are_not_changed() -> None:
    frames = noise(3, np.uint8)
    before = [frame.copy() for frame in frames]
    for method in ("average", "maximum"):
        stacked(frames, StackOptions(method=method, align=False))
    np.testing.assert_array_equal(frames, before)
