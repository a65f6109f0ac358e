"""From light on the sensor to numbers: exposure, colour gains, saturation and noise.

Display values are the square root of light (gamma 2), where shot noise is nearly the same at
every brightness; read noise is added in light and therefore shows in the dark parts.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_drivers.simulated.sensor_twin import NEUTRAL, SensorState

SHOT_FRACTION = 0.010
READ_FRACTION = 0.0005
UNIT_STEPS = 40.0
SIGMA_STEPS = 32.0
SLACK_PX = 61

Bytes = NDArray[np.uint8]


def exposed(image: Bytes, state: SensorState) -> Bytes:
    """Return display values (H, W, 3) uint8 as `state` exposes them; too bright is saturated."""
    factors = _light_factors(state)
    if np.allclose(factors, 1.0, atol=0.002):
        return image
    levels = np.arange(256)[:, None] * np.sqrt(factors)[None, :]
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table.reshape(256, 1, 3)), np.uint8)


def _light_factors(state: SensorState) -> NDArray[np.float64]:
    """Return the light in blue, green, red relative to the neutral exposure."""
    product = state.lines * state.gain_16 / (NEUTRAL.lines * NEUTRAL.gain_16)
    red, blue = (
        have / neutral for have, neutral in zip(state.colour_256, NEUTRAL.colour_256, strict=True)
    )
    return product * np.array([blue, 1.0, red])


class SensorNoise:
    """Shot and read noise from one block of random numbers, shifted for every frame."""

    def __init__(self, *, size_px: tuple[int, int], amount: float, seed: int) -> None:
        self._amount = amount
        self._seed = seed
        self._size_px = size_px
        if amount > 0:
            shape = (size_px[1] + SLACK_PX, size_px[0] + SLACK_PX, 3)
            unit = np.random.default_rng(seed).standard_normal(shape, np.float32) * UNIT_STEPS
            self._above = np.clip(unit, 0, 255).astype(np.uint8)
            self._below = np.clip(-unit, 0, 255).astype(np.uint8)

    def added(self, image: Bytes, *, gain: float, frame: int) -> Bytes:
        """Return `image` with the noise of one frame at an analogue gain; the same every time."""
        if self._amount == 0:
            return image
        sigma = cv2.LUT(image, self._sigma_table(gain))
        x, y = np.random.default_rng((self._seed, frame)).integers(0, SLACK_PX, 2)
        at = (slice(y, y + self._size_px[1]), slice(x, x + self._size_px[0]))
        scale = 1 / (UNIT_STEPS * SIGMA_STEPS)
        above = cv2.multiply(sigma, self._above[at], scale=scale)
        below = cv2.multiply(sigma, self._below[at], scale=scale)
        return np.asarray(cv2.subtract(cv2.add(image, above), below), np.uint8)

    def _sigma_table(self, gain: float) -> Bytes:
        """Return the deviation in display values for each display value, in 1/32 steps.

        With display = sqrt(light): sigma_display = sigma_light / (2 display).
        """
        display = (np.arange(256) + 2) / 257
        light = display**2
        variance = light * SHOT_FRACTION**2 * gain + (READ_FRACTION * gain) ** 2
        sigma = self._amount * np.sqrt(variance) / (2 * display) * 255
        return np.asarray(np.clip(np.rint(sigma * SIGMA_STEPS), 0, 255).astype(np.uint8))
