"""Breathing: how the magnification changes with focus, from the alignment of a sweep."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from zstackd_config.errors import StackError
from zstackd_drivers.factory import Devices
from zstackd_stacking import Stacker, StackOptions, stacking_order

LEAST_PLANES: Final = 5
_SIGMA_PER_MAD: Final = 1.4826
_UM_PER_MM: Final = 1e3
_NS_PER_MS: Final = 1e6


@dataclass(frozen=True, slots=True)
class Breathing:
    """Relative change of magnification per millimetre of focus, with its standard error.

    `heights_um` and `magnifications`: each aligned plane, relative to the middle one.
    """

    per_mm: float
    error_per_mm: float
    heights_um: tuple[float, ...]
    magnifications: tuple[float, ...]


def measure_breathing(devices: Devices, *, heights_um: list[float], settle_ms: float) -> Breathing:
    """Take a plane at each height and return how the magnification follows the focus.

    `heights_um`: rising, around the focus of a specimen with detail all over. The scale of each
    plane's alignment to the middle one is fitted by a line (the median of all pairs' slopes, after
    Theil and Sen), so that a few planes out of focus do not spoil it.

    Raises:
        StackError: fewer than five planes could be aligned.
    """
    stacker = Stacker(StackOptions(depth=False))
    middle = len(heights_um) // 2
    for index in stacking_order(len(heights_um), middle):
        devices.axis.move_to(heights_um[index])
        after_ns = devices.clock.monotonic_ns() + round(settle_ms * _NS_PER_MS)
        image = devices.camera.capture(after_ns=after_ns).image
        stacker.add(image, index=index, z_um=heights_um[index], name=f"plane {index}")
    frames = [frame for frame in stacker.result().report.frames if frame.used]
    if len(frames) < LEAST_PLANES:
        raise StackError(
            f"calibrate magnification: only {len(frames)} of {len(heights_um)} planes could be "
            f"aligned; at least {LEAST_PLANES} are needed: choose a smaller range around the focus"
        )
    scales = np.array([_scale(frame.transform) for frame in frames])
    return fitted(np.array([heights_um[frame.index] for frame in frames]), 1 / scales)


def _scale(transform: tuple[tuple[float, ...], ...]) -> float:
    linear = np.array([row[:2] for row in transform])
    return float(np.sqrt(abs(np.linalg.det(linear))))


def fitted(
    heights_um: np.ndarray[tuple[int], np.dtype[np.float64]],
    magnifications: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> Breathing:
    """Return the line through magnifications over heights."""
    first, second = np.triu_indices(len(heights_um), k=1)
    slopes = (magnifications[second] - magnifications[first]) / (
        heights_um[second] - heights_um[first]
    )
    slope = float(np.median(slopes))
    level = float(np.median(magnifications - slope * heights_um))
    spread = _SIGMA_PER_MAD * float(np.median(np.abs(magnifications - slope * heights_um - level)))
    error = spread / float(np.sqrt(np.sum((heights_um - heights_um.mean()) ** 2)))
    return Breathing(
        per_mm=slope * _UM_PER_MM,
        error_per_mm=error * _UM_PER_MM,
        heights_um=tuple(heights_um.tolist()),
        magnifications=tuple(magnifications.tolist()),
    )
