"""The stacker as a whole, against rendered truth and by its properties."""

import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from zstackd_config.errors import StackError
from zstackd_stacking import Stacker, StackOptions, StackResult, stacking_order
from zstackd_stacking.fusion.fuse import PyramidFusion
from zstackd_stacking.heights.depth import DepthMap
from zstackd_stacking.types import Memory

Render = Callable[..., Any]
STILL = StackOptions(align=False)


def stack(
    frames: list[NDArray[Any]], options: StackOptions = STILL, reference: int | None = None
) -> StackResult:
    stacker = Stacker(options)
    middle = len(frames) // 2 if reference is None else reference
    for index in stacking_order(len(frames), middle):
        stacker.add(frames[index], index=index, name=f"frame {index}")
    return stacker.result()


def psnr_db(image: NDArray[Any], truth: NDArray[Any]) -> float:
    top = 255 if image.dtype == np.uint8 else 65535
    error = image.astype(np.float64) / top * 255 - truth
    return float(10 * np.log10(255**2 / np.mean(error[12:-12, 12:-12] ** 2)))


def test_fused_image_beats_every_frame_by_far(rendered: Render) -> None:
    scene = rendered(planes=9, slope_px=1.2)
    result = stack(scene.frames)
    best = max(psnr_db(frame, scene.sharp) for frame in scene.frames)
    assert psnr_db(result.image, scene.sharp) > best + 6


def test_flat_noise_is_averaged_away() -> None:
    rng = np.random.default_rng(5)
    frames = [
        np.clip(120 + 6 * rng.standard_normal((120, 160, 3)), 0, 255).astype(np.uint8)
        for _ in range(12)
    ]
    noise = float(stack(frames).image.astype(np.float64).std(axis=(0, 1)).mean())
    assert noise < 0.5 * 6


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colour", [True, False])
def test_shape_and_dtype_are_kept(rendered: Render, dtype: type, colour: bool) -> None:
    scene = rendered(planes=3, shape=(61, 83), colour=colour, dtype=dtype)
    result = stack(scene.frames)
    assert result.image.shape == scene.frames[0].shape
    assert result.image.dtype == dtype
    assert result.depth_um is not None
    assert result.depth_um.shape == (61, 83)


def test_16_bits_carry_more_than_8(rendered: Render) -> None:
    scene = rendered(planes=3, dtype=np.uint16, noise=0)
    fused = stack(scene.frames).image
    assert np.count_nonzero(fused % 257) > 0.9 * fused.size


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (77, 1), (2, 3), (33, 47), (31, 200)])
def test_any_size_can_be_stacked(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    frames = [rng.integers(60, 200, (*shape, 3), dtype=np.uint8) for _ in range(3)]
    result = stack(frames, StackOptions())
    assert result.image.shape == (*shape, 3)
    assert result.confidence is not None
    assert result.confidence.shape == shape


def test_one_plane_comes_back_as_it_was(rendered: Render) -> None:
    frame = rendered(planes=1).frames[0]
    difference = stack([frame]).image.astype(int) - frame.astype(int)
    assert np.abs(difference).mean() < 2
    assert np.abs(cv2.cvtColor(stack([frame]).image, cv2.COLOR_BGR2GRAY).astype(int)).mean() > 20


def test_identical_planes_change_nothing(rendered: Render) -> None:
    frame = rendered(planes=1).frames[0]
    once, often = stack([frame]).image.astype(int), stack([frame] * 4).image.astype(int)
    assert np.abs(once - often).max() <= 1


def test_detail_that_only_colour_has_is_kept() -> None:
    """Red and green structures of one pixel that have nothing to do with each other."""
    rng = np.random.default_rng(11)
    texture = cv2.GaussianBlur(rng.standard_normal((120, 160, 3), np.float32), (0, 0), 0.8)
    frame = np.clip(120 + 110 * texture, 0, 255).astype(np.uint8)
    error = stack([frame] * 3).image.astype(int) - frame.astype(int)
    assert np.abs(error).mean() < 1.5


def test_two_planes_each_give_their_sharp_half(rendered: Render) -> None:
    scene = rendered(planes=2, slope_px=4.0)
    assert psnr_db(stack(scene.frames).image, scene.sharp) > 2 + max(
        psnr_db(frame, scene.sharp) for frame in scene.frames
    )


def test_thread_count_changes_no_byte(rendered: Render) -> None:
    scene = rendered(planes=4, motion=0.5)
    before = cv2.getNumThreads()
    try:
        results = []
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            results.append(stack(scene.frames, StackOptions()))
    finally:
        cv2.setNumThreads(before)
    for other in results[1:]:
        assert np.array_equal(other.image, results[0].image)
        assert other.depth_um is not None
        assert results[0].depth_um is not None
        assert np.array_equal(other.depth_um, results[0].depth_um)


@pytest.mark.parametrize("colour", [True, False])
def test_low_memory_holds_much_less_and_is_as_sharp(rendered: Render, colour: bool) -> None:
    scene = rendered(planes=4, shape=(720, 960), colour=colour)
    results, peaks = [], []
    memories: tuple[Memory, ...] = ("normal", "low")
    for memory in memories:
        tracemalloc.start()
        results.append(stack(scene.frames, StackOptions(align=False, depth=False, memory=memory)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 0.9 * peaks[0]  # far less of larger frames
    normal, low = (psnr_db(result.image, scene.sharp) for result in results)
    assert low > normal - 1.5


@pytest.mark.parametrize("memory", ["normal", "low"])
def test_peak_memory_is_the_same_for_many_frames(rendered: Render, memory: Memory) -> None:
    frames = rendered(planes=2, shape=(300, 400)).frames
    peaks = []
    for count in (6, 40):
        tracemalloc.start()
        stack([frames[index % 2] for index in range(count)], StackOptions(memory=memory))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.4 * peaks[0]  # threads overlap by chance


def test_an_image_that_the_caller_does_not_hold_is_gone_before_it_is_fused(
    rendered: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = rendered(planes=3)
    alive: list[weakref.ref[NDArray[Any]]] = []
    stacker = Stacker(StackOptions(memory="low"))

    def image() -> NDArray[Any]:
        own: NDArray[Any] = scene.frames[0].copy()
        alive.append(weakref.ref(own))
        return own

    fuse = PyramidFusion.add

    def watched(*args: Any, **named: Any) -> None:
        assert alive[-1]() is None
        fuse(*args, **named)

    monkeypatch.setattr(PyramidFusion, "add", watched)
    for index in range(3):
        stacker.add(image(), index=index)
    assert len(alive) == 3


def test_what_fails_behind_the_caller_is_raised_at_the_next_call(
    rendered: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_: object, **__: object) -> None:
        raise MemoryError

    scene = rendered(planes=2)
    stacker = Stacker(STILL)
    stacker.add(scene.frames[0], index=0)
    stacker.wait()
    with monkeypatch.context() as patched:
        patched.setattr(PyramidFusion, "add", out_of_memory)
        stacker.add(scene.frames[1], index=1)
        with pytest.raises(MemoryError):
            stacker.result()


def test_heights_are_micrometres_where_frames_have_them(rendered: Render) -> None:
    scene = rendered(planes=7, slope_px=1.2, relief="tilt")
    stacker = Stacker(STILL)
    for index in stacking_order(7, "middle"):
        stacker.add(scene.frames[index], index=index, z_um=100 - 2.5 * index)
    depth_um = stacker.result().depth_um
    assert depth_um is not None
    error = np.abs(depth_um - (100 - 2.5 * scene.depth))
    assert float(np.median(error[20:-20, 20:-20])) < 0.5 * 2.5


def test_finishing_gives_the_result_and_a_stacker_as_new(rendered: Render) -> None:
    scene = rendered(planes=3)
    stacker = Stacker(STILL)
    finished = []
    for _ in range(2):
        for index in stacking_order(3, "middle"):
            stacker.add(scene.frames[index], index=index)
        finished.append(stacker.finish())
    expected = stack(scene.frames)
    for result in finished:
        assert result.depth_um is not None
        assert expected.depth_um is not None
        assert np.array_equal(result.image, expected.image)
        assert np.array_equal(result.depth_um, expected.depth_um)
    with pytest.raises(StackError, match="at least 1 frame"):
        stacker.result()


def test_finishing_lets_go_of_sums_before_it_makes_maps(
    rendered: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacker = Stacker(STILL)
    for index, frame in enumerate(rendered(planes=2).frames):
        stacker.add(frame, index=index)
    stacker.wait()
    sums = weakref.ref(stacker._fusion)
    gone = []
    heights = DepthMap.heights

    def looked_at(depth: DepthMap) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        gone.append(sums() is None)
        return heights(depth)

    monkeypatch.setattr(DepthMap, "heights", looked_at)
    stacker.finish()
    assert gone == [True]


@pytest.mark.parametrize("side_px", [40, 80, 160, 320])
def test_preview_is_the_image_so_far_made_small(rendered: Render, side_px: int) -> None:
    scene = rendered(planes=3)
    stacker = Stacker(STILL)
    stacker.add(scene.frames[1], index=1)
    small = stacker.preview(max_side_px=side_px)
    assert small.shape == (side_px * 3 // 4, side_px, 3)
    expected = cv2.resize(scene.frames[1], small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - expected.astype(int)).mean() < 6


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((20, 20), np.float32), "8 or 16 bit"),
        (np.zeros((20, 20, 4), np.uint8), "shape"),
        (np.zeros((0, 20), np.uint8), "shape"),
        (np.zeros((21, 20), np.uint8), "one size"),
        (np.zeros((20, 20, 3), np.uint8), "one size"),
        (np.zeros((20, 20), np.uint16), "one depth"),
    ],
)
def test_frames_that_do_not_fit_are_refused(image: NDArray[Any], message: str) -> None:
    stacker = Stacker()
    stacker.add(np.zeros((20, 20), np.uint8), index=0)
    with pytest.raises(StackError, match=message):
        stacker.add(image, index=1, name="second")


def test_an_index_is_given_once_and_heights_always_or_never() -> None:
    stacker = Stacker()
    blank = np.zeros((40, 40), np.uint8)
    stacker.add(blank, index=0, z_um=1.0)
    with pytest.raises(StackError, match="added before"):
        stacker.add(blank, index=0, z_um=1.0)
    with pytest.raises(StackError, match="z_um"):
        stacker.add(blank, index=1)


def test_no_frames_are_no_stack() -> None:
    with pytest.raises(StackError, match="at least 1 frame"):
        Stacker().result()
