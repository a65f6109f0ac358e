"""Autofocus: near the best focus from any start, or a refusal with its reason."""

from collections.abc import Iterator

import numpy as np
import pytest
from tests.rigs import simulated_rig

from zstackd.runs.autofocus import FocusSample, NoFocusError, Sweep, autofocus, depth_of_field_um
from zstackd_config.rig import Rig
from zstackd_config.run import ManualExposure
from zstackd_drivers.factory import Devices, open_devices, reference_axis
from zstackd_drivers.simulated.camera_twin import SimulatedCamera
from zstackd_stacking.sharpness import Region, sharpness

STARTS = 100
SIZE_PX = (192, 144)
SIDE_PX = 64
SETTINGS = simulated_rig(
    camera={"size_px": SIZE_PX},
    optics={"pixel_size_um": 1.6, "numerical_aperture": 0.2, "magnification": 10},
    focus={"limits_um": [-400, 700], "speed_um_per_s": 5000, "settle_ms": 150},
    simulation={"specimen": "board", "time_scale": 200},
)
RIG = Rig.model_validate(SETTINGS)
DEPTH_UM = depth_of_field_um(RIG.optics)


@pytest.fixture(scope="module")
def devices() -> Iterator[Devices]:
    with open_devices(RIG) as devices:
        reference_axis(devices.axis, RIG.focus)
        devices.camera.lock_exposure(ManualExposure(mode="manual", exposure_time_ms=12))
        yield devices


def region(devices: Devices) -> Region:
    """The flattest part of the specimen that has detail."""
    camera = devices.camera
    assert isinstance(camera, SimulatedCamera)
    truth = camera.truth(focus_um=100)
    width, height = (side - SIDE_PX + 1 for side in SIZE_PX)
    corners = [(x, y) for x in range(0, width, 16) for y in range(0, height, 16)]
    parts = [Region(x, y, SIDE_PX, SIDE_PX) for x, y in corners]
    detailed = sorted(parts, key=lambda part: -sharpness(part.of(truth.image)))[:40]

    def relief_um(part: Region) -> float:
        rows, columns = slice(part.y_px, part.y_px + SIDE_PX), slice(part.x_px, part.x_px + SIDE_PX)
        return float(np.ptp(truth.height_um[rows, columns]))

    return min(detailed, key=relief_um)


@pytest.fixture(scope="module")
def sweep(devices: Devices) -> Sweep:
    return swept(devices)


@pytest.fixture(scope="module")
def best_um(sweep: Sweep) -> float:
    """The best of planes 1 µm apart."""
    samples = sweep.curve([float(z) for z in range(-40, 240)])
    return max(samples, key=lambda sample: sample.sharpness).z_um


def swept(devices: Devices) -> Sweep:
    return Sweep(devices, settle_ms=RIG.focus.longest_settle_ms, region=region(devices))


def test_99_of_100_random_starts_end_within_half_a_depth_of_field(
    sweep: Sweep, best_um: float
) -> None:
    rng = np.random.default_rng(7)
    errors_um = []
    for _ in range(STARTS):
        low_um = best_um - float(rng.uniform(1.5 * DEPTH_UM, 160))
        high_um = best_um + float(rng.uniform(1.5 * DEPTH_UM, 160))
        found = autofocus(sweep, range_um=(low_um, high_um), depth_um=DEPTH_UM)
        errors_um.append(abs(found.z_um - best_um))
    assert sum(error <= DEPTH_UM / 2 for error in errors_um) >= 99


def test_a_range_without_the_focus_is_refused_with_the_side_to_go_to(
    sweep: Sweep, best_um: float
) -> None:
    rng = np.random.default_rng(8)
    for _ in range(20):
        # Parts of the specimen that lie up to 3 depths higher have a true focus of their own.
        near_um = best_um + float(rng.uniform(3, 8)) * DEPTH_UM
        far_um = near_um + float(rng.uniform(40, 120))
        with pytest.raises(NoFocusError, match=r"best focus lies below|no focus in this range"):
            autofocus(sweep, range_um=(near_um, far_um), depth_um=DEPTH_UM)


def test_the_axis_ends_at_the_focus(devices: Devices, sweep: Sweep, best_um: float) -> None:
    found = autofocus(sweep, range_um=(best_um - 60, best_um + 60), depth_um=DEPTH_UM)
    assert devices.axis.snapshot().position_um == pytest.approx(found.z_um, abs=1.1)


def test_the_depth_of_field_is_that_of_diffraction_and_pixels_together() -> None:
    optics = RIG.optics.model_copy(
        update={"wavelength_nm": 550.0, "numerical_aperture": 0.25, "pixel_size_um": 0.5}
    )
    assert depth_of_field_um(optics) == pytest.approx(0.55 / 0.0625 + 0.5 / 0.25)


def test_a_range_of_too_many_planes_is_refused(sweep: Sweep) -> None:
    with pytest.raises(NoFocusError, match="more than 200"):
        autofocus(sweep, range_um=(-300, 600), depth_um=0.5)


def test_nothing_but_noise_is_refused() -> None:
    simulation = RIG.simulation.model_copy(update={"noise": 10.0})
    dark = RIG.model_copy(update={"simulation": simulation})
    with open_devices(dark) as devices:
        reference_axis(devices.axis, dark.focus)
        devices.camera.lock_exposure(ManualExposure(mode="manual", exposure_time_ms=0.11))
        with pytest.raises(NoFocusError):
            autofocus(swept(devices), range_um=(300, 600), depth_um=DEPTH_UM)


class RippleSweep(Sweep):
    """Blurred shapes far from focus: a broad, low hump that stands out of the noise."""

    def __init__(self) -> None:
        self.samples = []

    def look(self, z_um: float) -> FocusSample:
        hump = 0.25 * float(np.exp(-(((z_um - 230) / 25) ** 2)))
        sample = FocusSample(z_um, 4e-4 * (1 + hump))
        self.samples.append(sample)
        return sample

    def noise(self) -> float:
        return 3e-6


def test_the_ripple_of_blurred_shapes_is_no_focus() -> None:
    with pytest.raises(NoFocusError, match="no focus in this range"):
        autofocus(RippleSweep(), range_um=(180, 275), depth_um=21.75)


class CoarseSweep(Sweep):
    """A specimen in focus at 98.2 µm, on an axis whose reports tell whole micrometres."""

    def __init__(self) -> None:
        self.samples = []

    def look(self, z_um: float) -> FocusSample:
        sample = FocusSample(float(round(z_um)), float(np.exp(-(((z_um - 98.2) / 2) ** 2))))
        self.samples.append(sample)
        return sample

    def looks(self, frames: int) -> list[float]:
        return [self.samples[-1].sharpness] * frames

    def noise(self) -> float:
        return 1e-4


def test_planes_that_the_axis_cannot_tell_apart_count_once() -> None:
    found = autofocus(CoarseSweep(), range_um=(95, 101), depth_um=0.7)
    assert found.z_um == pytest.approx(98.2, abs=0.5)


def test_a_range_of_too_few_heights_is_refused() -> None:
    with pytest.raises(NoFocusError, match="the axis can tell only 4 heights apart, 5 are needed"):
        autofocus(CoarseSweep(), range_um=(97, 100), depth_um=0.7)
