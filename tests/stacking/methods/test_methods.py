"""What holds of every method that sees its frames as the default does."""

import tracemalloc
from collections.abc import Callable
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.stacking.stacked import stacked

from zstackd_config.errors import StackError
from zstackd_config.run import Stacking
from zstackd_stacking import StackOptions, stacking_order
from zstackd_stacking.methods.catalogue import Rereader, make_stacker, measures_heights, passes
from zstackd_stacking.types import Method

Render = Callable[..., Any]

METHODS: tuple[Method, ...] = ("depthmap", "near", "far", "average", "maximum")
BY_DEPTH: tuple[Method, ...] = ("depthmap", "near", "far")

each_method = pytest.mark.parametrize("method", METHODS)
each_by_depth = pytest.mark.parametrize("method", BY_DEPTH)


def still(method: Method) -> StackOptions:
    return StackOptions(method=method, align=False)


def texture(shape: tuple[int, ...], seed: int, size_px: float = 1.2) -> NDArray[np.float32]:
    """Fine detail of mean 0 and deviation 1."""
    rng = np.random.default_rng(seed)
    detail = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), size_px)
    return np.asarray(detail / detail.std(), np.float32)


def mean_error(image: NDArray[Any], truth: NDArray[Any]) -> float:
    """Mean absolute difference in levels, but for the rim."""
    error = np.abs(image.astype(np.float64) - truth.astype(np.float64))
    return float(error[8:-8, 8:-8].mean())


def test_runs_may_ask_for_every_method_there_is() -> None:
    asked = Stacking.model_fields["method"].annotation
    assert set(get_args(asked)) == set(get_args(Method))


@each_method
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colour", [True, False])
def test_shape_and_dtype_are_kept(
    rendered: Render, method: Method, dtype: type, colour: bool
) -> None:
    frames = rendered(planes=3, shape=(61, 83), colour=colour, dtype=dtype).frames
    result = stacked(frames, StackOptions(method=method))
    assert result.image.shape == frames[0].shape
    assert result.image.dtype == dtype
    assert result.report.method == method
    assert [frame.index for frame in result.report.frames] == [0, 1, 2]
    assert all(frame.sharpness > 0 for frame in result.report.frames)
    assert (result.depth_um is not None) == measures_heights(method)
    for part in (result.depth_um, result.confidence):
        assert part is None or part.shape == (61, 83)


@each_method
@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (77, 1), (2, 3), (33, 47), (31, 200)])
def test_any_size_can_be_stacked(method: Method, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    frames = [rng.integers(60, 200, (*shape, 3), dtype=np.uint8) for _ in range(3)]
    assert stacked(frames, StackOptions(method=method)).image.shape == (*shape, 3)


@each_method
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_copies_of_one_plane_give_that_plane(
    rendered: Render, method: Method, count: int, dtype: type
) -> None:
    frame = rendered(planes=1, shape=(60, 80), dtype=dtype).frames[0]
    image = stacked([frame] * count, still(method)).image
    assert np.abs(image.astype(int) - frame).max() <= 1


@each_method
def test_frames_may_come_in_any_order_outward(rendered: Render, method: Method) -> None:
    frames = rendered(planes=7, slope_px=1.2).frames
    usual = stacked(frames, still(method))
    mixed = stacked(frames, still(method), order=(3, 2, 4, 1, 0, 5, 6))
    # The noise that evidence is measured above is the least of the frames so far.
    assert np.abs(mixed.image.astype(int) - usual.image).mean() < 0.01
    if usual.depth_um is not None and mixed.depth_um is not None:
        assert np.abs(mixed.depth_um - usual.depth_um).mean() < 0.01


@each_method
def test_thread_count_changes_no_byte(rendered: Render, method: Method) -> None:
    frames = rendered(planes=4, motion=0.5).frames
    before = cv2.getNumThreads()
    try:
        results = []
        for threads in (1, 3):
            cv2.setNumThreads(threads)
            results.append(stacked(frames, StackOptions(method=method)).image)
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(results[0], results[1])


@each_method
def test_memory_does_not_grow_with_the_planes(rendered: Render, method: Method) -> None:
    frames, peaks = rendered(planes=2, shape=(300, 400)).frames, []
    for count in (6, 30):
        tracemalloc.start()
        stacked([frames[index % 2] for index in range(count)], still(method))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 60 * 300 * 400


@each_method
def test_what_lies_outside_a_moved_frame_has_no_weight(method: Method) -> None:
    """Frames show a dark scene through a window that moves, and a bright rim beyond their edge."""
    scene = 60 + 14 * texture((200, 360), 4)
    frames = []
    for index in range(3):
        left = 40 + 30 * index
        frame = scene[:, left : left + 240].copy()
        frame[:, [0, -1]] = 110  # what border pixels would be smeared from
        frames.append(np.clip(np.rint(frame), 0, 255).astype(np.uint8))
    result = stacked(frames, StackOptions(method=method))
    shifts = [frame.transform[0][2] for frame in result.report.frames]
    assert shifts == pytest.approx([-30, 0, 30], abs=0.5)
    # Outward of the rims the other frames have no pixels: there the reference alone counts.
    alone = (slice(4, -4), slice(4, 24))
    error = result.image[alone].astype(int) - frames[1][alone]
    assert np.abs(error).mean() < 3


@each_method
def test_frames_that_do_not_fit_are_refused(method: Method) -> None:
    sink = make_stacker(StackOptions(method=method))
    sink.add(np.zeros((40, 40), np.uint8), index=0)
    with pytest.raises(StackError, match="one size"):
        sink.add(np.zeros((41, 40), np.uint8), index=1)
    with pytest.raises(StackError, match="at least 1 frame"):
        make_stacker(StackOptions(method=method)).result()


@each_by_depth
def test_frames_are_seen_as_often_as_was_said(rendered: Render, method: Method) -> None:
    frames = rendered(planes=3, shape=(60, 80)).frames
    sink = make_stacker(still(method))
    assert isinstance(sink, Rereader)
    for index in stacking_order(3, "middle"):
        sink.add(frames[index], index=index)
    rounds = 0
    for indices in sink.rounds():
        assert sorted(indices) == [0, 1, 2]
        with pytest.raises(StackError, match="seen again"):
            sink.result()
        for index in indices:
            sink.again(frames[index], index=index)
        rounds += 1
    assert 1 + rounds == passes(method)
    assert sink.result().image.shape == frames[0].shape


@each_by_depth
def test_only_frames_that_were_added_are_seen_again(rendered: Render, method: Method) -> None:
    frames = rendered(planes=2, shape=(60, 80)).frames
    sink = make_stacker(still(method))
    assert isinstance(sink, Rereader)
    sink.add(frames[0], index=0)
    with pytest.raises(StackError, match="frame 0 was not asked for again"):
        sink.again(frames[0], index=0)
    next(iter(sink.rounds()))
    with pytest.raises(StackError, match="frame 1 is not the one that was added before"):
        sink.again(frames[1], index=1)
    with pytest.raises(StackError, match="frame 0 is not the one that was added before"):
        sink.again(frames[0][1:], index=0)


@each_by_depth
def test_a_frame_left_out_is_not_seen_again(rendered: Render, method: Method) -> None:
    frames = [*rendered(planes=3).frames, np.full((240, 320, 3), 120, np.uint8)]
    sink = make_stacker(StackOptions(method=method))
    assert isinstance(sink, Rereader)
    used = [sink.add(frame, index=index).used for index, frame in enumerate(frames)]
    assert used == [True, True, True, False]
    assert sorted(next(iter(sink.rounds()))) == [0, 1, 2]


@pytest.mark.parametrize("method", ["pyramid", *METHODS])
@pytest.mark.parametrize("level", [0, 255])
def test_a_blank_reference_gives_way_to_the_next_frame(
    rendered: Render, method: Method, level: int
) -> None:
    """It would set the brightness of all, and hold no frame in its place."""
    frames = list(rendered(planes=7, motion=0.3).frames)
    blank = np.full_like(frames[3], level)
    result = stacked([*frames[:3], blank, *frames[4:]], StackOptions(method=method))
    order = (4, 5, 6, 3, 2, 1, 0)
    usual = stacked([*frames[:3], blank, *frames[4:]], StackOptions(method=method), order=order)
    assert mean_error(result.image, usual.image) < 0.2
    assert result.report.reference_index == 4
    assert [frame.index for frame in result.report.frames if not frame.used] == [3]
    assert result.report.frames[3].note == "left out: it shows nothing to align by"


@pytest.mark.parametrize("method", ["pyramid", *BY_DEPTH])
def test_a_black_reference_does_not_darken_what_is_not_aligned(
    rendered: Render, method: Method
) -> None:
    frames = list(rendered(planes=7).frames)
    usual = stacked(frames, still(method)).image
    frames[3] = np.zeros_like(frames[3])
    assert stacked(frames, still(method)).image.mean() == pytest.approx(usual.mean(), rel=0.1)


def test_a_stack_that_shows_nothing_at_all_is_used_all_the_same() -> None:
    result = stacked([np.full((40, 60), 9, np.uint8)] * 3, StackOptions())
    assert all(frame.used for frame in result.report.frames)
    assert (result.image == 9).all()


@pytest.mark.parametrize("method", ["pyramid", "depthmap"])
@pytest.mark.parametrize("step", [1, 16])
def test_faint_frames_of_16_bits_are_stacked_like_bright_ones(
    rendered: Render, method: Method, step: int
) -> None:
    """Cameras of 12 bits leave the upper 4 of 16 empty, 16 bits on a faint subject even more."""
    frames = rendered(planes=7, slope_px=1.2, colour=False, dtype=np.uint16).frames
    faint = [np.rint(frame * (step / 257)).astype(np.uint16) for frame in frames]
    usual, result = (stacked(each, StackOptions(method=method)) for each in (frames, faint))
    assert all(frame.used for frame in result.report.frames)
    assert mean_error(result.image / step, usual.image / 257) < 0.5
    assert usual.depth_um is not None
    assert result.depth_um is not None
    assert np.abs(result.depth_um - usual.depth_um).mean() < 0.05
