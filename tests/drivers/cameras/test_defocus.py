"""The lens of the twin: sharp in focus, a disc that grows with distance and aperture."""

import numpy as np
import pytest

from zstackd_drivers.simulated.defocus import Defocus
from zstackd_drivers.simulated.truth import all_in_focus
from zstackd_drivers.specimens.catalogue import build_specimen
from zstackd_drivers.specimens.specimen import Bytes, Layer, Specimen

SIDE = 384
EDGE_PX = 0.8


def flat(colour: Bytes, height_um: float) -> Specimen:
    """An opaque plane at one height."""
    shape = colour.shape[:2]
    layer = Layer(
        colour=colour,
        alpha=np.full(shape, 255, np.uint8),
        height_um=np.full(shape, height_um, np.float32),
    )
    return Specimen(name="flat", layers=(layer,))


def edge_at(height_um: float) -> Specimen:
    """A plane, dark on the left half and a little brighter on the right one."""
    colour = np.full((SIDE, SIDE, 3), 110, np.uint8)
    colour[:, SIDE // 2 :] = 150
    return flat(colour, height_um)


def edge_width_px(image: Bytes) -> float:
    """Distance in which the light rises from 10 to 90 % across the edge, in pixels."""
    light = (image[SIDE // 2 - 20 : SIDE // 2 + 20, :, 1].astype(float) ** 2).mean(axis=0)
    rise = (light - light[0]) / (light[-1] - light[0])
    low, high = np.interp([0.1, 0.9], np.maximum.accumulate(rise), np.arange(SIDE))
    return float(high - low)


def lens(specimen: Specimen, aperture: float = 0.25, pixel_um: float = 1.0) -> Defocus:
    return Defocus(specimen, numerical_aperture=aperture, pixel_size_um=pixel_um)


@pytest.mark.parametrize("height_um", [0.0, 60.0, 200.0])
def test_in_focus_it_is_what_was_painted(height_um: float) -> None:
    specimen = edge_at(height_um)
    assert (
        np.abs(lens(specimen).render(height_um).astype(int) - specimen.layers[0].colour).max() <= 1
    )


@pytest.mark.parametrize("distance_um", [8, 15, 30, 60, 120])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_disc_has_the_radius_of_geometric_optics(distance_um: float, sign: int) -> None:
    """An edge seen through a disc of radius r rises from 10 to 90 % within 1.374 r.

    Discs from two pixels on live at half resolution, where an edge between two of its pixels is
    up to 0.7 px narrower.
    """
    image = lens(edge_at(100.0)).render(100.0 + sign * distance_um)
    radius_px = distance_um * 0.25 / np.sqrt(1 - 0.25**2)
    expected_px = np.hypot(1.374 * radius_px, EDGE_PX)
    assert edge_width_px(image) == pytest.approx(expected_px, rel=0.1, abs=0.7)


def test_blur_grows_with_distance_and_with_aperture() -> None:
    specimen = edge_at(100.0)
    by_distance = [edge_width_px(lens(specimen).render(100.0 + d)) for d in (0, 5, 10, 20, 40, 80)]
    assert by_distance == sorted(by_distance)
    assert len(set(by_distance)) == len(by_distance)
    by_aperture = [edge_width_px(lens(specimen, na).render(130.0)) for na in (0.05, 0.1, 0.2, 0.4)]
    assert by_aperture == sorted(by_aperture)
    assert len(set(by_aperture)) == len(by_aperture)


@pytest.mark.parametrize("distance_um", [5, 20, 50])
def test_defocus_keeps_the_light(distance_um: float) -> None:
    rng = np.random.default_rng(3)
    colour = rng.integers(90, 160, (SIDE, SIDE, 1), np.uint8).repeat(3, axis=2)
    blurred = lens(flat(colour, 100.0)).render(100.0 + distance_um)
    light, after = ((image.astype(float) ** 2).mean() for image in (colour, blurred))
    assert after == pytest.approx(light, rel=0.03)


def test_a_near_layer_out_of_focus_lets_the_far_one_shine_through() -> None:
    ground = flat(np.full((SIDE, SIDE, 3), 120, np.uint8), 0.0).layers[0]
    hair = np.zeros((SIDE, SIDE), np.uint8)
    hair[:, SIDE // 2 - 3 : SIDE // 2 + 3] = 255
    near = Layer(
        colour=np.zeros((SIDE, SIDE, 3), np.uint8),
        alpha=hair,
        height_um=np.full((SIDE, SIDE), 150.0, np.float32),
    )
    eye = lens(Specimen(name="hair", layers=(ground, near)))
    at = (SIDE // 4, SIDE // 2)
    assert eye.render(150.0)[at].max() <= 2
    assert eye.render(0.0)[at].min() > 80


@pytest.mark.parametrize("name", ["diatom", "board", "insect"])
def test_no_single_plane_is_sharp(name: str) -> None:
    specimen = build_specimen(name, size_px=(320, 240), seed=1)  # type: ignore[arg-type]
    eye = lens(specimen, 0.25, 3.0)
    truth = all_in_focus(specimen).astype(float)
    for z_um in range(0, 201, 25):
        error = float(((eye.render(z_um).astype(float) - truth) ** 2).mean())
        assert 10 * np.log10(255**2 / error) < 28
