"""Pixel size: from the rulings of a stage micrometer, or from a feature of known length."""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_config.errors import StackError
from zstackd_stacking.planes import luma
from zstackd_stacking.types import FloatMap, Image

LEAST_RULINGS: Final = 4
_LEAST_PITCH_PX: Final = 4.0
_LEAST_CORRELATION: Final = 0.2
_ANGLES: Final = 180

Profile = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rulings:
    """Evenly spaced parallel lines: pitch in pixels, its standard error, and how they stand.

    `angle_deg` is the direction across the lines, 0 along the rows of the frame. `correlation` is
    how alike the lines are, 0 to 1. `profile` is the mean brightness across them.
    """

    pitch_px: float
    error_px: float
    angle_deg: float
    count: int
    correlation: float
    profile: tuple[float, ...]


def measure_rulings(image: Image) -> Rulings:
    """Return the rulings that fill a frame (H, W[, 3]) of a stage micrometer, in focus.

    The frame is averaged along every direction; the one with the most contrast is along the lines.
    The pitch is the slope of the places of the autocorrelation's maxima over their number, so that
    it rests on all lines.

    Raises:
        StackError: fewer than four evenly spaced lines can be seen.
    """
    grey = _flattened(image)
    angle_deg = _direction(grey)
    profile = _profile(grey, angle_deg)
    correlation = _autocorrelation(profile)
    maxima = _maxima(correlation)
    if len(maxima) < LEAST_RULINGS - 1:
        raise StackError(
            f"calibrate pixel-size: only {len(maxima) + 1} evenly spaced lines can be seen; at "
            f"least {LEAST_RULINGS} are needed: bring the ruling of a stage micrometer into focus "
            "and let it fill the frame"
        )
    numbers = np.arange(1, len(maxima) + 1, dtype=float)
    places = np.array(maxima)
    pitch_px = float(numbers @ places / (numbers @ numbers))
    spread = float(np.sqrt(np.mean((places - pitch_px * numbers) ** 2)))
    return Rulings(
        pitch_px=pitch_px,
        error_px=spread / float(np.sqrt(numbers @ numbers)),
        angle_deg=angle_deg,
        count=int(len(profile) / pitch_px),
        correlation=float(correlation[round(pitch_px)]),
        profile=tuple(profile.tolist()),
    )


def length_px(start_px: tuple[float, float], end_px: tuple[float, float]) -> float:
    """Return the distance between two points (x, y) of a frame in pixels."""
    return math.dist(start_px, end_px)


def _flattened(image: Image) -> FloatMap:
    """Return brightness without what changes slowly over the frame, at zero mean."""
    grey = luma(image).astype(np.float32)
    slow = cv2.GaussianBlur(grey, (0, 0), min(grey.shape) / 8)
    return np.asarray(grey - slow, np.float32)


def _direction(grey: FloatMap) -> float:
    """Return the direction across the lines in degrees, to a twentieth of a degree."""
    small_factor = min(1.0, 512 / max(grey.shape))
    small = cv2.resize(grey, None, fx=small_factor, fy=small_factor, interpolation=cv2.INTER_AREA)
    coarse = _sharpest(np.asarray(small, np.float32), np.arange(_ANGLES, dtype=float))
    fine = _sharpest(grey, coarse + np.arange(-1, 1.01, 0.2))
    return _sharpest(grey, fine + np.arange(-0.2, 0.201, 0.05))


def _sharpest(grey: FloatMap, angles_deg: NDArray[np.float64]) -> float:
    contrast = [float(np.var(_profile(grey, float(angle)))) for angle in angles_deg]
    return float(angles_deg[int(np.argmax(contrast))])


def _profile(grey: FloatMap, angle_deg: float) -> Profile:
    """Return the mean along the lines, across the largest disc in the middle of the frame."""
    side = int(min(grey.shape) / math.sqrt(2))
    centre = ((grey.shape[1] - 1) / 2, (grey.shape[0] - 1) / 2)
    turn = np.asarray(cv2.getRotationMatrix2D(centre, angle_deg, 1.0), float)
    turn[:, 2] += (side - 1) / 2 - np.array(centre)
    turned = cv2.warpAffine(grey, turn, (side, side), flags=cv2.INTER_LINEAR)
    return np.asarray(np.mean(turned, axis=0), float)


def _autocorrelation(profile: Profile) -> Profile:
    """Return the unbiased autocorrelation, 1 at no shift, up to two thirds of the length."""
    centred = profile - profile.mean()
    count = len(centred)
    sums = np.correlate(centred, centred, "full")[count - 1 :]
    reach = 2 * count // 3
    means = sums[:reach] / (count - np.arange(reach))
    return np.asarray(means / max(float(means[0]), 1e-12))


def _maxima(correlation: Profile) -> list[float]:
    """Return the places of the first, second, … repetition, between pixels.

    The first is the highest maximum among the early ones; each next one is sought where the ones
    before it say that it should be.
    """
    peaks = [
        place
        for place in range(int(_LEAST_PITCH_PX), len(correlation) - 1)
        if correlation[place - 1] < correlation[place] >= correlation[place + 1]
        and correlation[place] > _LEAST_CORRELATION
    ]
    if not peaks:
        return []
    top = max(correlation[place] for place in peaks)
    first = next(place for place in peaks if correlation[place] > 0.75 * top)
    found: list[float] = []
    pitch = float(first)
    while True:
        wanted = pitch * (len(found) + 1)
        near = [place for place in peaks if abs(place - wanted) <= 0.25 * pitch]
        if not near:
            return found
        best = max(near, key=lambda place: float(correlation[place]))
        found.append(_vertex(correlation, best))
        pitch = found[-1] / len(found)


def _vertex(values: Profile, place: int) -> float:
    before, at, after = (float(values[place + offset]) for offset in (-1, 0, 1))
    bend = before - 2 * at + after
    return place + (0.5 * (before - after) / bend if bend < 0 else 0.0)
