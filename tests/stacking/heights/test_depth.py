"""Heights from focus evidence whose truth is known: slopes, steps, noise, veils, few planes."""

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from zstackd_config.errors import StackError
from zstackd_stacking import stacking_order
from zstackd_stacking.heights.depth import DepthMap
from zstackd_stacking.heights.peaks import Peaks

Floats = NDArray[np.float32]
SHAPE = (120, 160)
"""Of the evidence."""
NOISE = 0.3
"""Of the log evidence of one plane at one place."""


def evidence(
    truth: Floats, planes: int, *, fall: float = 0.6, noise: float = NOISE, seed: int = 1
) -> list[Floats]:
    """Log evidence that falls in a straight line away from `truth` (planes), down to noise."""
    rng = np.random.default_rng(seed)
    return [
        np.asarray(
            np.logaddexp(4.0 - fall * np.abs(truth - plane), 0.5)
            + noise * rng.standard_normal(truth.shape),
            np.float32,
        )
        for plane in range(planes)
    ]


def mapped(
    planes: Sequence[Floats], heights: Sequence[float] | None = None, order: Iterable[int] = ()
) -> tuple[Floats, Floats]:
    """Heights and confidence at the size of the evidence."""
    depth = DepthMap()
    for index in order or stacking_order(len(planes), "middle"):
        depth.add(planes[index], index=index, height=heights[index] if heights else float(index))
    return depth.heights()


def slope(low: float, high: float) -> Floats:
    return np.tile(np.linspace(low, high, SHAPE[1], dtype=np.float32), (SHAPE[0], 1))


def test_a_slope_is_found_between_the_planes() -> None:
    truth = slope(2, 17)
    z, sure = mapped(evidence(truth, 20))
    error = np.abs(z - truth)
    assert np.median(error) < 0.1
    assert error.max() < 0.8
    assert (sure > 0.9).mean() > 0.95


def test_a_slope_has_no_waves_from_plane_to_plane() -> None:
    truth = slope(2, 17)
    z, _ = mapped(evidence(truth, 20, noise=0.02))
    fraction = truth - np.rint(truth)
    error = z - truth
    means = [error[(fraction > low) & (fraction <= low + 0.2)].mean() for low in (-0.4, 0.2)]
    assert max(np.abs(means)) < 0.03


def test_a_step_stays_a_step_and_is_marked() -> None:
    truth = np.where(np.arange(SHAPE[1]) < 80, 4.0, 14.0).astype(np.float32)
    z, sure = mapped(evidence(np.tile(truth, (SHAPE[0], 1)), 20))
    assert np.abs(z[:, :74] - 4).max() < 0.7
    assert np.abs(z[:, 86:] - 14).max() < 0.7
    assert sure[:, 78:82].max() < 0.5
    assert sure[:, 10:60].mean() > 0.9


def test_a_bare_place_is_filled_in_smoothly_and_marked() -> None:
    truth = slope(4, 14)
    planes = evidence(truth, 20)
    rng = np.random.default_rng(2)
    for plane in planes:
        plane[30:90, 50:110] = 0.5 + NOISE * rng.standard_normal((60, 60))
    z, sure = mapped(planes)
    bare = slice(38, 82), slice(58, 102)
    assert sure[bare].max() < 0.5
    assert np.abs(np.diff(z[bare][::4, ::4], axis=1)).max() < 1.0
    assert np.abs(z[bare] - truth[bare]).mean() < 1.0


def test_a_veil_is_no_focus() -> None:
    """What rises and falls slowly along the planes is a defocused edge nearby."""
    truth = slope(4, 14)
    planes = evidence(truth, 30)
    rng = np.random.default_rng(3)
    for index, plane in enumerate(planes):
        hump = 3.0 - 0.02 * (index - 20) ** 2 / 2
        plane[40:80, 60:100] = max(hump, 0.5) + 0.05 * rng.standard_normal((40, 40))
    _, sure = mapped(planes)
    assert sure[46:74, 66:94].max() < 0.5
    assert sure[:30].mean() > 0.9


def test_two_candidates_are_unsure() -> None:
    near, far = evidence(slope(3, 3), 30), evidence(slope(25, 25), 30, seed=7)
    both = [np.maximum(a, b) for a, b in zip(near, far, strict=True)]
    planes = evidence(slope(12, 12), 30)
    for plane, ambiguous in zip(planes, both, strict=True):
        plane[:, 100:] = ambiguous[:, 100:]
    _, sure = mapped(planes)
    assert sure[:, 110:150].mean() < 0.2
    assert sure[:, 10:90].mean() > 0.9


def test_noise_of_any_strength_makes_no_pebbles() -> None:
    """Compression leaves evidence of a bare place that fluctuates more than a sensor's noise."""
    planes = evidence(slope(1, 5), 7)
    rng = np.random.default_rng(4)
    for plane in planes:
        coarse = rng.standard_normal((30, 20)).repeat(4, axis=0).repeat(4, axis=1)
        plane[:, 80:] = 0.3 + 0.55 * coarse
    z, sure = mapped(planes)
    assert (sure[:, 90:150] > 0.5).mean() < 0.05
    assert np.abs(np.diff(z[:, 90:150], axis=0)).mean() < 0.03


@pytest.mark.parametrize("planes", [3, 8, 30])
def test_noise_alone_is_unsure_everywhere(planes: int) -> None:
    rng = np.random.default_rng(planes)
    _, sure = mapped(
        [np.asarray(NOISE * rng.standard_normal(SHAPE), np.float32) for _ in range(planes)]
    )
    assert sure.mean() < 0.05


def test_uneven_and_falling_heights_are_kept() -> None:
    truth = slope(3, 12)
    heights = [float(100 - 2.0 * index - 0.05 * index**2) for index in range(16)]
    z, _ = mapped(evidence(truth, 16, fall=0.9, noise=0.05), heights)
    expected = np.interp(truth, range(16), heights)
    assert np.median(np.abs(z - expected)) < 0.1 * 2.75


@pytest.mark.parametrize(("below_um", "above_um"), [(-10.0, 4.0), (-4.0, 10.0)])
@pytest.mark.parametrize("top_um", [-1.0, 1.0])
def test_heights_between_uneven_planes_are_where_the_lines_meet(
    below_um: float, above_um: float, top_um: float
) -> None:
    levels = np.array([below_um, 0.0, above_um])
    low, middle, high = (
        np.full((1, 1), -0.1 * abs(level - top_um), np.float32) for level in levels
    )
    peaks = Peaks.of_reference(1, middle)
    peaks.add(high, 2)
    peaks.add(low, 0)
    assert peaks.heights(np.arange(3), levels)[0, 0] == pytest.approx(top_um, abs=1e-5)


def test_the_order_of_the_sides_is_of_no_account() -> None:
    planes = evidence(slope(1, 7), 9)
    first, sure = mapped(planes)
    mixed, sure_mixed = mapped(planes, order=(4, 3, 5, 6, 2, 7, 1, 0, 8))
    assert np.allclose(first, mixed, atol=1e-3)
    assert np.allclose(sure, sure_mixed, atol=1e-3)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_planes_give_heights_among_them(count: int) -> None:
    z, sure = mapped(evidence(slope(0, count - 1), count))
    assert z.min() >= 0
    assert z.max() <= count - 1
    assert np.isfinite(sure).all()


@pytest.mark.parametrize("heights", [[50.0], [50.0, 51.0], [50.0, 50.0, 50.0], [-3000.0, -2990.0]])
def test_where_nothing_is_sure_heights_lie_among_the_planes(heights: list[float]) -> None:
    bare = evidence(np.zeros(SHAPE, np.float32), len(heights), fall=0)
    height, sure = mapped(bare, heights)
    assert height.min() >= min(heights) - 1e-2
    assert height.max() <= max(heights) + 1e-2
    assert not sure.any()


def test_more_planes_take_no_more_memory() -> None:
    def held(planes: int) -> int:
        depth = DepthMap()
        for index in range(planes):
            depth.add(np.full(SHAPE, float(index % 5), np.float32), index=index, height=0.0)
        return depth.nbytes

    assert held(40) == held(4)
    full_px = 4 * SHAPE[0] * SHAPE[1]
    assert held(40) <= 4 * full_px


def test_heights_of_no_plane_are_refused() -> None:
    with pytest.raises(StackError, match="no plane was added"):
        DepthMap().heights()


def test_where_frames_have_no_pixels_only_what_they_do_not_decide_is_sure() -> None:
    truth = slope(2, 17)
    covered = np.ones(SHAPE, np.float32)
    covered[:40] = 0
    depth, planes = DepthMap(), evidence(truth, 20)
    for index in stacking_order(20, "middle"):
        plane, missing = planes[index], index > 11
        # what lies beyond a frame's edge repeats its last pixels, as sharp as they may be
        beyond = np.where(covered < 1, 9, plane).astype(np.float32) if missing else plane
        depth.add(beyond, index=index, height=float(index), coverage=covered if missing else None)
    z, sure = depth.heights()
    low, high = truth[0] < 9, truth[0] > 12
    assert np.abs(z - truth)[:, low].max() < 0.8
    assert (sure[:, low] > 0.9).mean() > 0.9
    assert sure[:36, high].max() < 0.05
    assert (sure[48:, high] > 0.9).mean() > 0.9
