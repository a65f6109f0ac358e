"""Exposure: explicit values that keep the highlights a given distance from saturation."""

from dataclasses import dataclass

import numpy as np

from zstackd_config.errors import HardwareError
from zstackd_config.run import LockedAutoExposure
from zstackd_drivers.camera import ExposureValues
from zstackd_drivers.factory import Devices

BRIGHTEST_SHARE = 0.001
MOST_BRIGHTNESS = 0.95
"""More than any frame with headroom has on average, so that the headroom decides."""


@dataclass(frozen=True, slots=True)
class FoundExposure:
    """Values to write into runs, and what a frame with them looks like.

    `mean` and `brightest` (the level that a thousandth of all values exceed) are shares of full
    scale; `histogram` holds the shares of 64 even classes.
    """

    values: ExposureValues
    mean: float
    brightest: float
    histogram: tuple[float, ...]


def find_exposure(devices: Devices, *, headroom: float) -> FoundExposure:
    """Let the camera converge with `headroom` (0 to 1 of full scale) and look at one frame.

    Raises a `HardwareError` where the light is beyond the camera's range, or where the camera does
    not tell its exposure.
    """
    values = devices.camera.lock_exposure(
        LockedAutoExposure(target_brightness=MOST_BRIGHTNESS, highlight_headroom=headroom)
    )
    if not values.exposure_time_ms > 0:
        raise HardwareError(
            f"calibrate exposure: the {devices.camera.info().driver} camera does not tell its "
            "exposure, so that there is none to give to runs: leave `exposure` out of run files"
        )
    image = devices.camera.capture(after_ns=devices.clock.monotonic_ns()).image
    full = float(np.iinfo(image.dtype).max)
    counts, _ = np.histogram(image, bins=64, range=(0, full))
    return FoundExposure(
        values=values,
        mean=float(image.mean()) / full,
        brightest=float(np.quantile(image, 1 - BRIGHTEST_SHARE)) / full,
        histogram=tuple((counts / counts.sum()).tolist()),
    )
