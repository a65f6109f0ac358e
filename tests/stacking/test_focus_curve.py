"""Peaks of focus curves: found between planes, or refused with the reason."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zstackd_stacking.focus_curve import NoPeak, Peak, find_peak, shift_between

STEP_UM = 4.0
HEIGHTS_UM = [STEP_UM * index for index in range(21)]


def bell(centre_um: float, *, width_um: float = 10.0, floor: float = 0.2) -> list[float]:
    return [floor + float(np.exp(-(((z - centre_um) / width_um) ** 2))) for z in HEIGHTS_UM]


def peak_of(values: list[float], *, noise: float = 0.0) -> Peak:
    peak = find_peak(HEIGHTS_UM, values, noise=noise)
    assert isinstance(peak, Peak)
    return peak


@given(centre_um=st.floats(6, 74), width_um=st.floats(5, 20), floor=st.floats(0, 1))
def test_a_bell_is_found_to_a_tenth_of_a_step(
    centre_um: float, width_um: float, floor: float
) -> None:
    peak = find_peak(HEIGHTS_UM, bell(centre_um, width_um=width_um, floor=floor))
    assert isinstance(peak, Peak)
    assert peak.z_um == pytest.approx(centre_um, abs=0.1 * STEP_UM)


@given(scale=st.floats(1e-6, 1e6))
def test_the_unit_of_sharpness_does_not_matter(scale: float) -> None:
    scaled = find_peak(HEIGHTS_UM, [scale * value for value in bell(33.0)])
    assert isinstance(scaled, Peak)
    assert scaled.z_um == pytest.approx(peak_of(bell(33.0)).z_um, abs=1e-6)


def test_noise_below_the_peak_is_borne() -> None:
    rng = np.random.default_rng(3)
    errors = []
    for _ in range(100):
        centre_um = float(rng.uniform(10, 70))
        noisy = [value + float(rng.normal(0, 0.02)) for value in bell(centre_um)]
        errors.append(abs(peak_of(noisy, noise=0.02).z_um - centre_um))
    assert np.quantile(errors, 0.99) < STEP_UM / 2


def test_noise_alone_is_flat() -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        values = [float(v) for v in rng.normal(1.0, 0.2, len(HEIGHTS_UM))]
        assert find_peak(HEIGHTS_UM, values, noise=0.2) is NoPeak.FLAT


def test_a_level_curve_is_flat() -> None:
    assert find_peak(HEIGHTS_UM, [0.5] * len(HEIGHTS_UM)) is NoPeak.FLAT


def test_a_peak_beyond_an_end_is_named() -> None:
    assert find_peak(HEIGHTS_UM, bell(-6.0)) is NoPeak.AT_LOW_END
    assert find_peak(HEIGHTS_UM, bell(86.0)) is NoPeak.AT_HIGH_END


@pytest.mark.parametrize(("centre_um", "end"), [(-6, "AT_LOW_END"), (86, "AT_HIGH_END")])
def test_noise_on_a_slope_makes_no_peak(centre_um: float, end: str) -> None:
    rng = np.random.default_rng(5)
    slope = np.array(bell(centre_um, width_um=40.0))
    for _ in range(200):
        values = [float(v) for v in slope + rng.normal(0, 0.05, len(slope))]
        assert find_peak(HEIGHTS_UM, values, noise=0.05) is NoPeak[end]


def test_the_higher_of_two_peaks_wins_and_the_other_is_told() -> None:
    lower = [0.8 * value for value in bell(16.0)]
    both = [a + b for a, b in zip(bell(60.0), lower, strict=True)]
    peak = peak_of(both)
    assert peak.z_um == pytest.approx(60.0, abs=1.0)
    assert peak.rivals_um == (16.0,)


def test_shoulders_are_no_rivals() -> None:
    broad = [a + 0.7 * b for a, b in zip(bell(40.0), bell(48.0), strict=True)]
    assert peak_of(broad).rivals_um == ()


@pytest.mark.parametrize("heights_um", [[0, 1, 2, 3], [0, 1, 2, 2, 3], [4, 3, 2, 1, 0]])
def test_planes_must_rise_and_suffice(heights_um: list[float]) -> None:
    with pytest.raises(ValueError, match="focus curve"):
        find_peak(heights_um, [1.0] * len(heights_um))


@settings(max_examples=30)
@given(shift_um=st.floats(-30, 30), scale=st.floats(0.5, 2), floor=st.floats(0, 2))
def test_the_shift_between_two_curves_is_recovered(
    shift_um: float, scale: float, floor: float
) -> None:
    first = bell(40.0)
    second = [floor + scale * value for value in bell(40.0 + shift_um)]
    found_um = shift_between(first, second, step=STEP_UM)
    assert found_um == pytest.approx(shift_um, abs=0.1 * STEP_UM)
