"""Autofocus: a coarse sweep over a range, a fine one over its peak, or why there is none."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from zstackd.runs.progress import Say, said_planes, unheard
from zstackd.runs.settling import FixedRest
from zstackd_config.errors import HardwareError
from zstackd_config.rig import Optics, Rig
from zstackd_config.values import height
from zstackd_drivers.camera import Frame, ignore
from zstackd_drivers.factory import Devices
from zstackd_stacking.focus_curve import LEAST_CONTRAST, LEAST_PLANES, NoPeak, Peak, find_peak
from zstackd_stacking.sharpness import Region, sharpness

COARSE_PLANES: Final = 9
MOST_COARSE_PLANES: Final = 200
FINE_STEPS_PER_DEPTH: Final = 3
_NOISE_FRAMES: Final = 5
_CONTRAST_PER_DEPTH: Final = 0.1
_ENOUGH_CONTRAST: Final = 0.3
_CONFIRMED_SHARE: Final = 0.5
_CONFIRMING_FRAMES: Final = 3

Range = tuple[float, float]


class NoFocusError(HardwareError):
    """No focus was found that can be trusted; the axis stands where the sweep ended."""

    is_fault = False


@dataclass(frozen=True, slots=True)
class FocusSample:
    """One plane of a sweep: height and sharpness (no unit)."""

    z_um: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class FoundFocus:
    """The height of best focus, and every plane that was looked at, in order of height."""

    z_um: float
    contrast: float
    rivals_um: tuple[float, ...]
    samples: tuple[FocusSample, ...]


def depth_of_field_um(optics: Optics) -> float:
    """Return the depth of field in air in µm: diffraction and pixels together.

    λ / NA² + pixel size / NA, with the pixel size on the specimen. Source: S. Inoué and
    K. Spring, «Video Microscopy», 2nd ed. (1997), section 2.
    """
    aperture = optics.numerical_aperture
    return optics.wavelength_nm / 1e3 / aperture**2 + optics.pixel_size_um / aperture


def frame_at_rest(devices: Devices, *, settle_ms: float) -> Frame:
    """Return a frame exposed after the axis, which stands already, has rested for `settle_ms`."""
    return FixedRest(devices.camera, settle_ms).take(devices.clock.monotonic_ns(), ignore).frame


class Sweep:
    """Looks at planes and measures their sharpness; keeps every sample."""

    def __init__(
        self,
        devices: Devices,
        *,
        settle_ms: float,
        region: Region | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._devices = devices
        self._settle_ms = settle_ms
        self._region = region
        self._check = check
        self.samples: list[FocusSample] = []

    def look(self, z_um: float) -> FocusSample:
        """Move to a height and measure a fresh frame there; its height is that of the step."""
        self._check()
        stands_um = self._devices.axis.move_to(z_um).z_um
        sample = FocusSample(stands_um, self._measure())
        self.samples.append(sample)
        return sample

    def curve(
        self, heights_um: list[float], say: Say = unheard, named: str = "plane"
    ) -> list[FocusSample]:
        """Look at every height, in the order given."""
        return [self.look(z_um) for z_um in said_planes(heights_um, say, named)]

    def looks(self, frames: int) -> list[float]:
        """Measure so many fresh frames where the axis stands now."""
        return [self._measure() for _ in range(frames)]

    def noise(self) -> float:
        """Return the standard deviation of the measure where the axis stands now."""
        return float(np.std(self.looks(_NOISE_FRAMES), ddof=1))

    def _measure(self) -> float:
        image = frame_at_rest(self._devices, settle_ms=self._settle_ms).image
        return sharpness(image if self._region is None else self._region.of(image))


def find_focus(
    devices: Devices,
    rig: Rig,
    range_um: Range,
    *,
    region: Region | None = None,
    check: Callable[[], None] = lambda: None,
    say: Say = unheard,
) -> FoundFocus:
    """Return the best focus of a rig within a range, as `autofocus` does, by the rig's settings."""
    sweep = Sweep(devices, settle_ms=rig.focus.longest_settle_ms, region=region, check=check)
    return autofocus(sweep, range_um=range_um, depth_um=depth_of_field_um(rig.optics), say=say)


def autofocus(sweep: Sweep, *, range_um: Range, depth_um: float, say: Say = unheard) -> FoundFocus:
    """Return the height of best focus within `range_um`; the camera's exposure must be locked.

    The coarse sweep takes at least nine planes, two depths of field apart at most; the fine one
    goes a third of a depth of field at a time over the coarse peak. The axis ends at the focus.

    From a focus, sharpness falls by a third and more within one depth of field, by two thirds
    within one and a half. A curve that varies by less than 10 % for each depth of field of the
    range, up to 30 %, is the ripple of blurred shapes, which stands out of noise far from focus.

    Raises:
        NoFocusError: the curve is flat, its peak lies at an end of the range, or it is not found
            again; or the axis cannot tell enough heights of the range apart.
    """
    planes_um = _spread(range_um, step_um=2 * depth_um, least=COARSE_PLANES)
    coarse = _merged(sweep.curve(planes_um, say, "coarse plane"))
    _require_heights(coarse, range_um)
    noise = sweep.noise()
    first = _trusted(coarse, range_um, noise, depth_um)
    pitch_um = coarse[1].z_um - coarse[0].z_um
    around = (max(range_um[0], first.z_um - pitch_um), min(range_um[1], first.z_um + pitch_um))
    step_um = depth_um / FINE_STEPS_PER_DEPTH
    sweep.curve(_spread(around, step_um=step_um, least=LEAST_PLANES), say, "fine plane")
    samples = _merged(sweep.samples)
    peak = _trusted(samples, range_um, noise, depth_um)
    say(f"the focus once more, at {height(peak.z_um)}")
    again = sweep.look(peak.z_um)
    _confirm([again.sharpness, *sweep.looks(_CONFIRMING_FRAMES - 1)], peak)
    return FoundFocus(peak.z_um, peak.contrast, first.rivals_um, tuple(samples))


def _require_heights(samples: list[FocusSample], range_um: Range) -> None:
    """Refuse a range of too few steps of the motor, or of the position that it reports."""
    if len(samples) < LEAST_PLANES:
        raise NoFocusError(
            f"autofocus: of the range {range_um[0]:zg} to {range_um[1]:zg} µm the axis can tell "
            f"only {len(samples)} heights apart, {LEAST_PLANES} are needed: give a larger range, "
            "or finer steps to the controller (`zstackd doctor` tells what it reports)"
        )


def _confirm(seen: list[float], peak: Peak) -> None:
    """Refuse a peak that is not there any more when looked at again, as one of noise is not."""
    mean = float(np.mean(seen))
    # The floor of a noisy curve may lie below nothing.
    least = (1 - _CONFIRMED_SHARE * min(peak.contrast, 1.0)) * peak.sharpness
    if mean < least:
        raise NoFocusError(
            f"autofocus: the peak at {height(peak.z_um)} was not found again (sharpness "
            f"{mean:.3g}, expected at least {least:.3g}): steady the specimen and the "
            "light, or lengthen focus.settle_ms"
        )


def _trusted(samples: list[FocusSample], range_um: Range, noise: float, depth_um: float) -> Peak:
    low, high = range_um
    peak = find_peak(
        [sample.z_um for sample in samples],
        [sample.sharpness for sample in samples],
        noise=noise,
        least_contrast=_least_contrast((high - low) / depth_um),
    )
    if peak is NoPeak.FLAT:
        raise NoFocusError(
            f"autofocus: sharpness hardly changes from {low:zg} to {high:zg} µm: no focus in this "
            "range; move the specimen or the range, or give more light"
        )
    if peak is NoPeak.AT_LOW_END or peak is NoPeak.AT_HIGH_END:
        end, word = (low, "below") if peak is NoPeak.AT_LOW_END else (high, "above")
        raise NoFocusError(
            f"autofocus: sharpness still rises at {end:g} µm, the end of the range {low:g} to "
            f"{high:g} µm: best focus lies {word} it; extend the range {word} {end:g} µm"
        )
    return peak


def _least_contrast(depths: float) -> float:
    """Return the share by which sharpness must vary over a range of so many depths of field."""
    return max(LEAST_CONTRAST, min(_ENOUGH_CONTRAST, _CONTRAST_PER_DEPTH * depths))


def _spread(range_um: Range, *, step_um: float, least: int) -> list[float]:
    """Return evenly spaced heights from low to high, at most `step_um` apart."""
    low, high = range_um
    count = max(least, math.ceil((high - low) / step_um - 1e-9) + 1)
    if count > MOST_COARSE_PLANES:
        raise NoFocusError(
            f"autofocus: the range {low:g} to {high:g} µm needs {count} planes at steps of "
            f"{step_um:g} µm, more than {MOST_COARSE_PLANES}; give a smaller range"
        )
    return [float(z_um) for z_um in np.linspace(low, high, count)]


def _merged(samples: list[FocusSample]) -> list[FocusSample]:
    """Return samples in order of height; of several at one height, the last."""
    return [sample for _, sample in sorted({s.z_um: s for s in samples}.items())]
