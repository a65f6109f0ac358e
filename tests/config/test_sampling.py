"""The largest step between planes, against the formulas it has to agree with at its ends."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zstackd_config.rig import Optics
from zstackd_config.sampling import largest_step_um


def step_um(
    numerical_aperture: float, pixel_size_um: float, *, nm: float = 550, index: float = 1
) -> float:
    optics = Optics(
        numerical_aperture=numerical_aperture,
        pixel_size_um=pixel_size_um,
        magnification=1,
        wavelength_nm=nm,
        refractive_index=index,
    )
    return largest_step_um(optics)


@pytest.mark.parametrize(
    ("numerical_aperture", "nm", "index"), [(0.1, 550, 1), (0.95, 450, 1), (1.4, 600, 1.515)]
)
def test_fine_pixels_leave_the_nyquist_step_of_the_objective(
    numerical_aperture: float, nm: float, index: float
) -> None:
    half_angle = math.asin(numerical_aperture / index)
    nyquist_um = nm / 1e3 / (2 * index * (1 - math.cos(half_angle)))
    found_um = step_um(numerical_aperture, 0.05, nm=nm, index=index)
    assert found_um == pytest.approx(nyquist_um)


def test_low_apertures_have_their_depth_of_field() -> None:
    assert step_um(0.1, 1.0) == pytest.approx(0.55 / 0.1**2, rel=0.01)


def test_coarse_pixels_bear_a_blur_of_their_own_size() -> None:
    assert step_um(0.1, 100.0) == pytest.approx(100.0 / 0.1, rel=0.03)


@given(
    aperture=st.floats(0.02, 0.98),
    pixel_um=st.floats(0.02, 50),
    factor=st.floats(1.01, 3),
)
def test_coarser_pixels_never_need_closer_planes(
    aperture: float, pixel_um: float, factor: float
) -> None:
    fine_um, coarse_um = step_um(aperture, pixel_um), step_um(aperture, pixel_um * factor)
    assert 0 < fine_um <= coarse_um * (1 + 1e-6)


def test_the_table_of_the_docs_is_right() -> None:
    page = (Path(__file__).parents[2] / "docs" / "optics.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()
            if line.startswith("|") and line.endswith("µm |")]  # fmt: skip
    assert len(rows) >= 6
    for objective, aperture, pixel, step in rows:
        index = 1.515 if "oil" in objective else 1.0
        found_um = step_um(float(aperture), float(pixel.removesuffix(" µm")), index=index)
        assert float(step.removesuffix(" µm")) == pytest.approx(found_um, rel=0.02)
