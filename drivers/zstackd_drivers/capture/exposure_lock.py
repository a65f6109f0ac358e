"""From a wish for exposure to explicit values that a sensor can hold."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.camera import ExposureValues, Image
from zstackd_drivers.capture.locked_capture import LockedCapture, describe
from zstackd_drivers.capture.preview import luminance
from zstackd_drivers.errors import CameraError

_log = logging.getLogger(__name__)
Range = tuple[float, float]

DISPLAY_GAMMA = 2.2
GAMMA_RANGE = (1.0, 4.0)
MOST_TRIALS = 12
FAR = 2.0
PUSH = 1.5
"""By how much farther to ask a camera that keeps to what it had."""

BRIGHTNESS_TOLERANCE = 0.015
HIGHLIGHT_SHARE = 0.999
SATURATED = 0.996
SATURATED_FACTOR = 0.6
HIGHLIGHT_MARGIN = 0.99
LEAST_BRIGHTNESS = 1 / 512
SAMPLED_EVERY_PX = 3
HARDLY = 1e-3
WRITTEN_RATIO = 1e-3
"""How far beyond a sensor's end a value may lie that a person or a calibration has rounded."""


@dataclass(frozen=True, slots=True)
class ExposureLimits:
    """What a sensor can hold; `colour_gains` is None where it knows none."""

    name: str
    exposure_time_ms: Range
    analogue_gain: Range
    colour_gains: Range | None

    def check(self, values: ExposureValues) -> None:
        """Raise CameraError where a value is beyond the sensor."""
        self._check("exposure_time_ms", values.exposure_time_ms, self.exposure_time_ms, "ms")
        self._check("analogue_gain", values.analogue_gain, self.analogue_gain, "(no unit)")
        if values.colour_gains is not None and self.colour_gains is None:
            raise CameraError(
                f"{self.name}: exposure.colour_gains is given, but this camera has no colour gains "
                "to set; leave it out"
            )
        for gain in values.colour_gains or ():
            self._check("colour_gains", gain, self.colour_gains or (gain, gain), "(no unit)")

    def _check(self, field: str, value: float, bounds: Range, unit: str) -> None:
        low, high = bounds
        if not (1 - WRITTEN_RATIO) * low <= value <= (1 + WRITTEN_RATIO) * high:
            raise CameraError(
                f"{self.name}: exposure.{field} {value:g} {unit} is outside the sensor's "
                f"{low:.4g} to {high:.4g} {unit}; choose a value inside"
            )


@dataclass(frozen=True, slots=True)
class Brightness:
    """Mean luminance and nearly brightest value of an image, 0 to 1 of full scale."""

    mean: float
    highlight: float

    @property
    def saturated(self) -> bool:
        """Whether the nearly brightest value is as good as full scale."""
        return self.highlight >= SATURATED


def explicit(
    exposure: ManualExposure, limits: ExposureLimits, *, neutral: tuple[float, float] | None
) -> ExposureValues:
    """Return a user's values; `neutral` are the colour gains where none are given.

    Raises CameraError where a value is beyond the sensor.
    """
    values = ExposureValues(
        exposure_time_ms=exposure.exposure_time_ms,
        analogue_gain=exposure.analogue_gain,
        colour_gains=exposure.colour_gains or neutral,
    )
    limits.check(values)
    return values


def brightness(image: Image) -> Brightness:
    """Measure an image (H, W) or (H, W, 3), 8 or 16 bit: every third pixel each way."""
    sample = image[::SAMPLED_EVERY_PX, ::SAMPLED_EVERY_PX]
    full = 2.0 ** (8 * sample.dtype.itemsize) - 1
    grey = luminance(sample)
    brightest = sample if sample.ndim == grey.ndim else sample.max(axis=2)
    return Brightness(
        mean=float(grey.mean()) / full,
        highlight=float(np.quantile(brightest, HIGHLIGHT_SHARE)) / full,
    )


def metered(
    capture: LockedCapture,
    start: ExposureValues,
    wish: LockedAutoExposure,
    limits: ExposureLimits,
    *,
    timeout_s: Callable[[ExposureValues], float],
) -> ExposureValues:
    """Hold values from `start` on that meet the wish's target brightness and headroom; return them.

    The headroom wins where both cannot be had. Exposure time is changed first, then gain.
    `timeout_s` says how long to wait for frames with given values. Raises CameraError where the
    sensor's limits are reached or so many trials do not do, CameraTimeout. A camera that takes some
    exposures only holds the nearest of them, which is logged.
    """
    asked, gamma = start, DISPLAY_GAMMA
    before: tuple[float, float] | None = None
    tried: dict[ExposureValues, _Trial] = {}
    for _ in range(MOST_TRIALS):
        patience_s = timeout_s(asked)
        values = capture.hold(asked, timeout_s=patience_s)
        if wish.target_brightness is None and wish.highlight_headroom is None:
            return values
        if values in tried:
            # A camera that takes some exposures only: beyond this one, or between two of them.
            if _is_between(tried.values()):
                return _nearest(capture, tried, wish, limits.name, patience_s=patience_s)
            trial = tried[values]
            asked = _scaled(asked, PUSH if trial.factor > 1 else 1 / PUSH, limits, wish, trial.seen)
            continue
        now_ns = capture.clock.monotonic_ns()
        seen = brightness(capture.fresh(values, after_ns=now_ns, timeout_s=patience_s).image)
        factor = _factor(seen, wish, gamma)
        if factor is None:
            return values
        tried[values] = _Trial(factor, seen)
        light = values.exposure_time_ms * values.analogue_gain
        gamma = _gamma(before, (light, seen.mean), gamma)
        before = (light, seen.mean)
        asked = _scaled(values, factor, limits, wish, seen)
    raise CameraError(
        f"{limits.name}: {_words(wish)} is not met after {MOST_TRIALS} trials; at "
        f"{describe(values)} the brightness is {tried[values].seen.mean:.2f}; "
        + _remedy(asked, values)
    )


@dataclass(frozen=True, slots=True)
class _Trial:
    """What was seen with some values, and by how much the light should have changed."""

    factor: float
    seen: Brightness


def _is_between(trials: Iterable[_Trial]) -> bool:
    """Return whether what is wished lies between values that were tried."""
    factors = [trial.factor for trial in trials]
    return min(factors) < 1 < max(factors)


def _nearest(
    capture: LockedCapture,
    tried: Mapping[ExposureValues, _Trial],
    wish: LockedAutoExposure,
    name: str,
    *,
    patience_s: float,
) -> ExposureValues:
    """Hold the values of all tried that come nearest to a wish, and say so in one line."""
    ceiling = 1.0 if wish.highlight_headroom is None else 1.0 - wish.highlight_headroom
    target = ceiling if wish.target_brightness is None else wish.target_brightness
    # The headroom wins; the darker side of it has always some.
    kept = [v for v, trial in tried.items() if trial.factor > 1 or trial.seen.highlight <= ceiling]
    best = min(kept, key=lambda values: abs(tried[values].seen.mean - target))
    _log.warning(
        "%s: it takes some exposures only: %s is the nearest, brightness %.2f instead of %s",
        name, describe(best), tried[best].seen.mean, _words(wish),
    )  # fmt: skip
    return capture.hold(best, timeout_s=patience_s)


def _remedy(asked: ExposureValues, taken: ExposureValues) -> str:
    if asked.exposure_time_ms > FAR * taken.exposure_time_ms:
        return "it takes no longer exposure: give more light"
    if taken.exposure_time_ms > FAR * asked.exposure_time_ms:
        return "it takes no shorter exposure: dim the light"
    return "steady the light"


def _factor(seen: Brightness, wish: LockedAutoExposure, gamma: float) -> float | None:
    """Return by how much the light must change; None where nothing is left to do."""
    ceiling = 1.0 if wish.highlight_headroom is None else 1.0 - wish.highlight_headroom
    room = float((ceiling * HIGHLIGHT_MARGIN / max(seen.highlight, LEAST_BRIGHTNESS)) ** gamma)
    if wish.highlight_headroom is not None and seen.highlight > ceiling:
        return SATURATED_FACTOR if seen.saturated else room
    if wish.target_brightness is None:
        return None
    if abs(seen.mean - wish.target_brightness) <= BRIGHTNESS_TOLERANCE:
        return None
    factor = float((wish.target_brightness / max(seen.mean, LEAST_BRIGHTNESS)) ** gamma)
    if wish.highlight_headroom is not None and factor > 1:
        factor = min(factor, room)
        if factor <= 1 + 2 * BRIGHTNESS_TOLERANCE:
            return None
    return factor


def _gamma(before: tuple[float, float] | None, now: tuple[float, float], otherwise: float) -> float:
    """Return the exponent of light over brightness that two measurements show."""
    if before is None or min(before[1], now[1]) < LEAST_BRIGHTNESS:
        return otherwise
    step, answer = math.log(now[0] / before[0]), math.log(now[1] / before[1])
    if abs(answer) < HARDLY:
        return otherwise
    low, high = GAMMA_RANGE
    return min(max(step / answer, low), high)


def _scaled(
    values: ExposureValues,
    factor: float,
    limits: ExposureLimits,
    wish: LockedAutoExposure,
    seen: Brightness,
) -> ExposureValues:
    """Return values that gather `factor` as much light; time first, then gain."""
    light = values.exposure_time_ms * values.analogue_gain * factor
    (shortest, longest), (least, most) = limits.exposure_time_ms, limits.analogue_gain
    if not shortest * least <= light <= longest * most:
        remedy = "give more light" if factor > 1 else "dim the light"
        raise CameraError(
            f"{limits.name}: {_words(wish)} is out of reach: the brightness is {seen.mean:.2f} at "
            f"{describe(values)}, and the sensor ends at {shortest:.4g} to {longest:.4g} ms and "
            f"gain {least:g} to {most:g}; {remedy} or change the wish"
        )
    gain = max(least, min(values.analogue_gain, light / shortest), light / longest)
    return replace(values, exposure_time_ms=light / gain, analogue_gain=gain)


def _words(wish: LockedAutoExposure) -> str:
    target, headroom = wish.target_brightness, wish.highlight_headroom
    parts = [] if target is None else [f"target_brightness {target:g}"]
    parts += [] if headroom is None else [f"highlight_headroom {headroom:g}"]
    return "exposure." + " with ".join(parts)
