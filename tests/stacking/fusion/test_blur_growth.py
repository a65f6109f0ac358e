"""How fast frames blur, told from their texture."""

from collections.abc import Sequence

import numpy as np
import pytest
from tests.stacking.fusion.veils import disc, texture

from zstackd_stacking import stacking_order
from zstackd_stacking.fusion.blur_growth import BlurGrowth
from zstackd_stacking.pyramid import band, reduced
from zstackd_stacking.types import FloatMap, as_floats

PLANES = 21
SIDE_PX = 512


def _planes(growth_px: float) -> list[tuple[FloatMap, FloatMap]]:
    """Focus and third band of planes across a slope of texture with noise."""
    rng = np.random.default_rng(3)
    ground = as_floats(20 * texture(rng, SIDE_PX))
    height = np.linspace(4, PLANES - 5, SIDE_PX)[None]
    quarter = np.linspace(4, PLANES - 5, SIDE_PX // 4)[None]
    blurred = [disc(ground, growth_px * planes) for planes in range(PLANES)]
    result = []
    for plane in range(PLANES):
        apart = np.clip(np.rint(np.abs(height - plane)), 0, PLANES - 1).astype(int)
        frame = np.take_along_axis(np.stack(blurred), apart[None].repeat(SIDE_PX, 1), 0)[0]
        frame = as_floats(frame + rng.normal(0, 1, frame.shape))
        focus = as_floats(np.repeat(-np.abs(quarter - plane), SIDE_PX // 4, axis=0))
        small = reduced(reduced(frame))
        result.append((focus, band(small, reduced(small))))
    return result


def _radius_px(planes: Sequence[tuple[FloatMap, FloatMap]], order: Sequence[int]) -> float | None:
    growth = BlurGrowth()
    for index in order:
        growth.add(*planes[index], index)
    return growth.radius_px()


@pytest.mark.parametrize("growth_px", [1.0, 1.3, 2.5])
def test_the_growth_of_the_disc_is_found(growth_px: float) -> None:
    found = _radius_px(_planes(growth_px), stacking_order(PLANES, "middle"))
    assert found == pytest.approx(growth_px, rel=0.15)


def test_it_is_the_same_in_whatever_order_the_sides_come() -> None:
    planes = _planes(1.3)
    above, below = range(10, PLANES), range(9, -1, -1)
    mixed = [10, *(index for pair in zip(below, above[1:], strict=True) for index in pair)]
    assert _radius_px(planes, [*above, *below]) == _radius_px(planes, mixed)


def test_copies_of_one_frame_tell_nothing() -> None:
    planes = _planes(1.3)
    same = [(focus, planes[10][1]) for focus, _ in planes]
    assert _radius_px(same, stacking_order(PLANES, "middle")) is None
    assert BlurGrowth().radius_px() is None


def test_what_a_frame_does_not_show_does_not_count() -> None:
    planes = _planes(1.3)
    cut: list[tuple[FloatMap, FloatMap]] = []
    for focus, detail in planes:
        unseen = np.arange(SIDE_PX // 4) < 40
        cut.append(
            (as_floats(np.where(unseen, -np.inf, focus)), as_floats(np.where(unseen, 1e3, detail)))
        )
    found = _radius_px(cut, stacking_order(PLANES, "middle"))
    assert found == pytest.approx(1.3, rel=0.2)
