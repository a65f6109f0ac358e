"""Values within a sensor's limits, and what the metering makes of wishes out of reach."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.camera import ExposureValues
from zstackd_drivers.capture.exposure_lock import ExposureLimits, brightness, explicit
from zstackd_drivers.capture.frame_source import LockTolerance
from zstackd_drivers.errors import CameraError, CameraTimeout

LIMITS = ExposureLimits(
    name="test camera",
    exposure_time_ms=(0.1, 100.0),
    analogue_gain=(1.0, 8.0),
    colour_gains=(0.5, 4.0),
)
OpenSimulated = Callable[..., AbstractContextManager[Any]]


def manual(**values: Any) -> ManualExposure:
    return ManualExposure(mode="manual", **{"exposure_time_ms": 10.0, **values})


def test_colour_gains_are_neutral_where_none_are_given() -> None:
    assert explicit(manual(), LIMITS, neutral=(2.0, 1.5)).colour_gains == (2.0, 1.5)
    given = manual(colour_gains=(1.0, 3.0))
    assert explicit(given, LIMITS, neutral=(2.0, 1.5)).colour_gains == (1.0, 3.0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"exposure_time_ms": 200.0}, "exposure_time_ms 200 ms is outside .* 0.1 to 100 ms"),
        ({"analogue_gain": 9.0}, "analogue_gain 9 .* 1 to 8"),
        ({"colour_gains": (1.0, 5.0)}, "colour_gains 5 .* 0.5 to 4"),
    ],
)
def test_a_value_beyond_the_sensor_is_refused_with_its_bounds(
    values: dict[str, Any], words: str
) -> None:
    with pytest.raises(CameraError, match=f"test camera: exposure.{words}.*; choose a value"):
        explicit(manual(**values), LIMITS, neutral=None)


def test_a_mono_camera_refuses_colour_gains() -> None:
    mono = ExposureLimits("mono", (0.1, 100.0), (1.0, 8.0), None)
    with pytest.raises(CameraError, match="no colour gains to set; leave it out"):
        explicit(manual(colour_gains=(1.0, 1.0)), mono, neutral=None)
    assert explicit(manual(), mono, neutral=None).colour_gains is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_brightness_is_a_share_of_full_scale(dtype: type[Any]) -> None:
    full = np.iinfo(dtype).max
    image = np.full((90, 120), full // 4, dtype)
    image[40:46, 60:69] = full
    seen = brightness(image)
    assert seen.mean == pytest.approx(0.25, abs=0.01)
    assert seen.highlight > 0.9
    assert seen.saturated
    assert not brightness(np.minimum(image, full // 2)).saturated
    assert brightness(np.dstack([image] * 3)).mean == pytest.approx(seen.mean, abs=0.01)


@pytest.mark.parametrize("wanted", [0.1, 0.3, 0.5])
def test_every_target_in_reach_is_met(
    open_simulated: OpenSimulated, tmp_path: Path, wanted: float
) -> None:
    with open_simulated(tmp_path) as bench:
        bench.camera.lock_exposure(LockedAutoExposure(target_brightness=wanted))
        assert brightness(bench.fresh().image).mean == pytest.approx(wanted, abs=0.02)


def test_the_headroom_wins_over_the_target(open_simulated: OpenSimulated, tmp_path: Path) -> None:
    wish = LockedAutoExposure(target_brightness=0.7, highlight_headroom=0.2)
    with open_simulated(tmp_path) as bench:
        bench.camera.lock_exposure(wish)
        seen = brightness(bench.fresh().image)
    assert seen.highlight <= 0.82
    assert seen.mean < 0.6


def test_a_target_out_of_reach_is_refused_with_what_was_seen(
    open_simulated: OpenSimulated, tmp_path: Path
) -> None:
    with open_simulated(tmp_path) as bench:
        black = np.zeros((120, 160, 3), np.uint8)
        bench.camera.sensor.imager.image = lambda *_: black
        with pytest.raises(
            CameraError, match=r"target_brightness 0\.5 is out of reach.*more light"
        ):
            bench.camera.lock_exposure(LockedAutoExposure(target_brightness=0.5))


def test_an_exposure_that_another_program_changes_is_not_blamed_on_the_cable(
    open_simulated: OpenSimulated, tmp_path: Path
) -> None:
    with open_simulated(tmp_path) as bench:
        bench.camera.lock_exposure(manual())
        bench.camera.sensor.set_values(ExposureValues(20.0, 1.0, None))
        with pytest.raises(CameraTimeout, match=r"had exposure 20\.0.*another program") as caught:
            # It takes some frames until the change is to be seen.
            [bench.fresh() for _ in range(30)]
    assert "cable" not in str(caught.value)


def test_a_lock_accepts_the_sensors_steps_and_no_more() -> None:
    tolerance = LockTolerance(exposure_time_ms=0.02, analogue_gain=0.05, colour_gain=0.01)
    lock = ExposureValues(10.0, 2.0, (1.5, 1.5))

    def accepts(*values: Any) -> bool:
        return tolerance.accepts(reported=ExposureValues(*values), lock=lock)

    assert accepts(10.019, 2.04, (1.509, 1.491))
    assert not accepts(10.03, 2.0, (1.5, 1.5))
    assert not accepts(10.0, 2.06, (1.5, 1.5))
    assert not accepts(10.0, 2.0, (1.5, 1.52))
    assert not accepts(10.0, 2.0, None)
