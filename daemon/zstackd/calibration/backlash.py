"""Backlash from two sweeps: through focus on the way up, and again on the way down."""

from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from zstackd.calibration.spread import robust_sigma
from zstackd.runs.autofocus import frame_at_rest
from zstackd.runs.progress import Say, said_planes, unheard
from zstackd_config.errors import HardwareError
from zstackd_drivers.factory import Devices
from zstackd_stacking.focus_curve import NoPeak, find_peak, shift_between
from zstackd_stacking.sharpness import LEAST_SIDE_PX, Region, sharpness
from zstackd_stacking.types import Image

TILES: Final = (4, 3)
_LEAST_TILES: Final = 3
_NOISE_FRAMES: Final = 9
_LEAST_ERRORS: Final = 3.0

Curves = NDArray[np.float64]
"""Sharpness of each plane (rows) and tile of the frame (columns)."""


@dataclass(frozen=True, slots=True)
class Backlash:
    """Lost motion in µm, its standard error, and the curves it comes from.

    `up` and `down` hold the sharpness of each plane (rows) and tile of the frame (columns).
    """

    backlash_um: float
    error_um: float
    tiles_used: int
    heights_um: tuple[float, ...]
    up: tuple[tuple[float, ...], ...]
    down: tuple[tuple[float, ...], ...]


def measure_backlash(
    devices: Devices,
    *,
    heights_um: list[float],
    lead_um: float,
    settle_ms: float,
    say: Say = unheard,
) -> Backlash:
    """Return the lost motion between a sweep upwards and one downwards over `heights_um`.

    `heights_um`: evenly spaced, rising, with the specimen's focus inside. The axis must be open
    with a backlash of 0, so that each plane is reached straight from the last one; `lead_um`,
    larger than any backlash to be expected, is the run-up before each sweep.

    Each tile of the frame has a focus curve of its own; the curves of the way down lie lower by
    the backlash. The result is the median over the tiles.

    Raises:
        HardwareError: too few tiles go through focus within the range, or the focus drifts.
    """
    sweep = partial(_sweep, devices, settle_ms=settle_ms, say=say)
    up = sweep(heights_um, start_um=heights_um[0] - lead_um, way="up")
    turned = heights_um[::-1]
    down = sweep(turned, start_um=turned[0] + lead_um, way="down")[::-1]
    say(f"noise of {_NOISE_FRAMES} frames")
    noise = _noise(devices, settle_ms=settle_ms)
    shifts_um = _shifts(heights_um, up, down, noise)
    if len(shifts_um) < _LEAST_TILES:
        raise HardwareError(
            f"calibrate backlash: only {len(shifts_um)} of {up.shape[1]} parts of the frame go "
            f"through focus between {heights_um[0]:zg} and {heights_um[-1]:zg} µm; at least "
            f"{_LEAST_TILES} are needed: choose the range around the focus of a specimen with "
            "fine detail all over"
        )
    middle = float(np.median(shifts_um))
    error_um = robust_sigma(np.subtract(shifts_um, middle)) / len(shifts_um) ** 0.5
    least_um = -_LEAST_ERRORS * error_um - (heights_um[1] - heights_um[0])
    if -middle < least_um:
        raise HardwareError(
            f"calibrate backlash: the way down lies {middle:.2f} ± {error_um:.2f} µm higher than "
            "the way up, which no backlash does: the specimen or the focus drifts; let the rig "
            "warm up, hold the specimen, and sweep a smaller range"
        )
    return Backlash(
        backlash_um=-middle,
        error_um=error_um,
        tiles_used=len(shifts_um),
        heights_um=tuple(heights_um),
        up=tuple(map(tuple, up.tolist())),
        down=tuple(map(tuple, down.tolist())),
    )


def _sweep(
    devices: Devices,
    heights_um: list[float],
    *,
    start_um: float,
    settle_ms: float,
    say: Say,
    way: str,
) -> Curves:
    devices.axis.move_to(start_um)
    rows = []
    for z_um in said_planes(heights_um, say, f"way {way}, plane"):
        devices.axis.move_to(z_um)
        rows.append(_look(devices, settle_ms=settle_ms))
    return np.array(rows)


def _noise(devices: Devices, *, settle_ms: float) -> Curves:
    """Return the standard deviation of each tile's sharpness where the axis stands now.

    Without it, the highest of some planes far from focus passes for a peak now and then.
    """
    looks = [_look(devices, settle_ms=settle_ms) for _ in range(_NOISE_FRAMES)]
    return np.asarray(np.std(looks, axis=0, ddof=1), np.float64)


def _look(devices: Devices, *, settle_ms: float) -> list[float]:
    return _tile_sharpness(frame_at_rest(devices, settle_ms=settle_ms).image)


def _tile_sharpness(image: Image) -> list[float]:
    columns, rows = TILES
    width, height = image.shape[1] // columns, image.shape[0] // rows
    if min(width, height) < 2 * LEAST_SIDE_PX:
        return [sharpness(image)]
    return [
        sharpness(Region(x * width, y * height, width, height).of(image))
        for y in range(rows)
        for x in range(columns)
    ]


def _shifts(
    heights_um: list[float],
    up: Curves,
    down: Curves,
    noise: Curves,
) -> list[float]:
    """Return the shift of each tile whose curves both have a peak inside the range."""
    step_um = heights_um[1] - heights_um[0]
    shifts = []
    for rising, falling, sigma in zip(up.T, down.T, noise, strict=True):
        peaks = [find_peak(heights_um, curve, noise=float(sigma)) for curve in (rising, falling)]
        if not any(isinstance(peak, NoPeak) for peak in peaks):
            shifts.append(shift_between(rising, falling, step=step_um))
    return shifts
