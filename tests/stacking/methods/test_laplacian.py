"""The classic method keeps its contract, without its known faults."""

import tracemalloc
from itertools import permutations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from zstackd_config.errors import InputError, StackError
from zstackd_stacking import StackOptions, StackResult
from zstackd_stacking.alignment.homography import Found, HomographyFinder, affine_part
from zstackd_stacking.methods.laplacian import Kernels, LaplacianStacker
from zstackd_stacking.types import Image, as_image

RIGID = StackOptions(method="laplacian", align=False)


def textured(height: int = 240, width: int = 320, seed: int = 1) -> Image:
    rng = np.random.default_rng(seed)
    layers = [
        cv2.GaussianBlur(rng.standard_normal((height, width, 3)), (0, 0), size) * size
        for size in (1.5, 4.0, 12.0)
    ]
    return as_image(np.clip(128 + 90 * np.sum(layers, axis=0), 0, 255).astype(np.uint8))


def half_sharp(sharp: Image, *, left: bool) -> Image:
    frame = as_image(cv2.GaussianBlur(sharp, (0, 0), 4))
    middle = sharp.shape[1] // 2
    side = slice(0, middle) if left else slice(middle, None)
    frame[:, side] = sharp[:, side]
    return frame


def stacked(
    frames: list[Image], options: StackOptions = RIGID, kernels: Kernels | None = None
) -> StackResult:
    stacker = LaplacianStacker(options, kernels)
    for index, frame in enumerate(frames):
        stacker.add(frame, index=index, name=f"z{index}")
    return stacker.result()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_pixel_comes_from_the_frame_that_is_sharp_there(dtype: type, channels: int) -> None:
    sharp = textured() if channels == 3 else as_image(textured()[..., 0])
    sharp = as_image(sharp.astype(dtype) * (257 if dtype is np.uint16 else 1))
    result = stacked([half_sharp(sharp, left=True), half_sharp(sharp, left=False)])
    assert result.image.dtype == dtype
    away = np.abs(np.arange(320) - 160) > 12
    equal = (result.image == sharp).reshape(240, 320, -1).all(axis=2)[:, away]
    assert equal.mean() > 0.9  # the measure crosses zero within the texture
    assert result.depth_um is not None
    assert result.depth_um[:, :148].mean() < 0.1
    assert result.depth_um[:, 172:].mean() > 0.9


def test_on_a_tie_the_first_frame_stays() -> None:
    first = textured()
    second = as_image(np.clip(first.astype(int) + 1, 0, 255).astype(np.uint8))
    second[first == 255] = 255
    flat = as_image(np.full_like(first, 90))
    other = as_image(np.full_like(first, 200))
    assert np.array_equal(stacked([flat, other]).image, flat)
    assert np.array_equal(stacked([first, first.copy()]).image, first)


def test_both_kernel_sizes_matter() -> None:
    frames = [textured(seed=1), textured(seed=2)]
    usual = stacked(frames).image
    assert not np.array_equal(stacked(frames, kernels=Kernels(gaussian_px=11)).image, usual)
    assert not np.array_equal(stacked(frames, kernels=Kernels(laplacian_px=11)).image, usual)


@pytest.mark.parametrize("size", [0, -3, 4, 33])
def test_a_kernel_size_that_cannot_be_is_refused_with_one_that_can(size: int) -> None:
    with pytest.raises(InputError, match=f"Gaussian kernel size {size} px: it must be odd"):
        Kernels(gaussian_px=size)
    with pytest.raises(InputError, match=f"Laplacian kernel size {size} px: it must be odd"):
        Kernels(laplacian_px=size)


def test_moved_frames_are_brought_onto_the_first() -> None:
    sharp = textured(400, 500)
    moved = cv2.getRotationMatrix2D((250, 200), 1.0, 1.02)
    moved[:, 2] += (6, -4)
    second = cv2.warpAffine(half_sharp(sharp, left=False), moved, (500, 400), flags=cv2.INTER_CUBIC)
    frames = [half_sharp(sharp, left=True), as_image(second)]
    result = stacked(frames, StackOptions(method="laplacian"))
    report = result.report.frames[1]
    assert report.used
    found = np.vstack([report.transform, [0, 0, 1]]) @ np.vstack([moved, [0, 0, 1]])
    corners = np.asarray([[0, 0, 1], [500, 0, 1], [0, 400, 1], [500, 400, 1]], float).T
    assert np.abs((found @ corners - corners)[:2]).max() < 1.0
    inner = (slice(30, -30), slice(280, -40))
    error = result.image[inner].astype(float) - sharp[inner]
    blurred = frames[0][inner].astype(float) - sharp[inner]
    assert np.sqrt(np.mean(error**2)) < 0.5 * np.sqrt(np.mean(blurred**2))


def test_a_frame_that_cannot_be_aligned_is_named_and_left_out() -> None:
    sharp = textured()
    blank = as_image(np.full_like(sharp, 100))
    unrelated = textured(seed=5)
    result = stacked([sharp, blank, unrelated], StackOptions(method="laplacian"))
    assert [frame.used for frame in result.report.frames] == [True, False, False]
    assert result.report.frames[1].note == "left out: only 0 key points found, 8 are needed"
    assert "are needed" in result.report.frames[2].note
    assert np.array_equal(result.image, sharp)


def test_pixels_from_outside_a_frame_are_never_taken() -> None:
    sharp = textured()
    blurred = as_image(cv2.GaussianBlur(sharp, (0, 0), 1.2))
    shift = np.asarray([[1, 0, 40], [0, 1, 0]], float)
    second = as_image(cv2.warpAffine(sharp, shift, (320, 240), borderValue=(255, 0, 255)))
    result = stacked([blurred, second], StackOptions(method="laplacian"))
    assert result.report.frames[1].used
    assert np.array_equal(result.image[:, -36:], blurred[:, -36:])


def test_the_order_of_the_other_frames_matters_only_on_ties() -> None:
    first, *others = (
        np.random.default_rng(seed).integers(0, 65536, (60, 80), dtype=np.uint16)
        for seed in range(4)
    )
    results = [stacked([first, *others]).image for others in permutations(others)]
    assert all(np.array_equal(result, results[0]) for result in results)


def test_memory_does_not_grow_with_the_number_of_frames() -> None:
    def peak(count: int) -> int:
        stacker = LaplacianStacker(RIGID)
        tracemalloc.start()
        for index in range(count):
            stacker.add(textured(120, 160, seed=index), index=index)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)
    assert peak(40) < peak(4) * 1.2


def test_a_frame_of_another_size_or_depth_is_refused() -> None:
    stacker = LaplacianStacker(RIGID)
    stacker.add(textured(), index=0)
    with pytest.raises(StackError, match="must be alike"):
        stacker.add(textured(100, 100), index=1, name="odd")
    with pytest.raises(StackError, match="uint16"):
        stacker.add(as_image(textured().astype(np.uint16)), index=1)


def test_confidence_is_high_where_one_frame_stands_out() -> None:
    sharp = textured()
    flat = as_image(np.full_like(sharp, 128))
    result = stacked([flat, sharp, flat, flat])
    assert result.confidence is not None
    assert float(np.median(result.confidence)) == pytest.approx(0.75, abs=0.02)
    assert float(np.median(stacked([sharp] * 4).confidence)) == pytest.approx(0)  # type: ignore[arg-type]


def test_without_depth_there_is_none() -> None:
    result = stacked([textured()], StackOptions(method="laplacian", depth=False))
    assert result.depth_um is None
    assert result.confidence is None


def test_an_empty_stack_is_refused() -> None:
    with pytest.raises(StackError, match="at least 1 frame"):
        LaplacianStacker().result()


def test_a_large_image_is_aligned_on_its_own_pixel_grid() -> None:
    sharp = as_image(cv2.resize(textured(300, 700), None, fx=4, fy=4)[..., 1])
    shifted = as_image(cv2.warpAffine(sharp, np.asarray([[1, 0, 13.0], [0, 1, -7]]), (2800, 1200)))
    found = HomographyFinder(sharp).find(shifted)
    assert isinstance(found, Found)
    matrix = affine_part(found.matrix, sharp.shape)
    centre = matrix @ (1400, 600, 1)
    assert centre == pytest.approx((1387, 607), abs=0.5)


def test_the_affine_part_touches_the_homography_at_the_centre() -> None:
    matrix = np.asarray([[1.02, 0.01, 5], [-0.02, 0.98, 3], [1e-5, -2e-5, 1]])
    affine = affine_part(matrix, (400, 600))
    points = np.asarray([[299.5, 199.5], [300.5, 199.5], [299.5, 200.5]])
    wanted = cv2.perspectiveTransform(points.reshape(-1, 1, 2), matrix).reshape(-1, 2)
    assert np.column_stack([points, np.ones(3)]) @ affine.T == pytest.approx(wanted, abs=1e-4)


def sweep(count: int = 5, size: int = 640) -> tuple[list[Image], list[NDArray[np.float64]]]:
    """Frames sharp in one strip each, ever larger, and where reference pixels lie in them."""
    sharp = textured(size, size, seed=4)
    frames, matrices = [], []
    for index in range(count):
        frame = as_image(cv2.GaussianBlur(sharp, (0, 0), 20))
        strip = slice(index * size // count, (index + 2) * size // count)
        frame[:, strip] = sharp[:, strip]
        matrix = np.asarray(
            cv2.getRotationMatrix2D((size / 2, size / 2), 0, 1 + 0.012 * index), np.float64
        )
        frames.append(as_image(cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_CUBIC)))
        matrices.append(matrix)
    return frames, matrices


def test_a_frame_with_nothing_sharp_in_common_with_the_first_is_aligned_by_its_neighbours() -> None:
    frames, matrices = sweep()
    finder = HomographyFinder(as_image(frames[0][..., 1]))
    last = [finder.find(as_image(frame[..., 1])) for frame in frames[1:]][-1]
    assert isinstance(last, Found)
    corners = np.asarray([[[20, 20]], [[620, 20]], [[620, 620]], [[20, 620]]], np.float32)
    back = cv2.perspectiveTransform(cv2.transform(corners, matrices[-1]), last.matrix)
    assert np.abs(back - corners).max() < 2
