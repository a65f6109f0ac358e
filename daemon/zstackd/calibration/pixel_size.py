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
_ROUNDS: Final = 3
_LEAST_PLACES: Final = 3
_FINE_PX: Final = 0.25
_SOUGHT: Final = 0.15
"""How far from where it should be a line is sought, as a part of the pitch."""

_T_68: Final = {1: 1.84, 2: 1.32, 3: 1.20, 4: 1.14}

Profile = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rulings:
    """Evenly spaced parallel lines: pitch in pixels, its standard error, and how they stand.

    `error_px` is what the scatter of the lines about even spacing makes of the pitch, greater where
    they are few (Student's t). `angle_deg` is the direction across the lines, 0 along the rows of
    the frame. `correlation` is how alike the lines are, 0 to 1. `profile` is the mean brightness
    across them.
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
    The autocorrelation tells about how far apart the lines are. Each of them is then sought by the
    mean of them all, and the pitch is the slope of their places over their number.

    Raises:
        StackError: fewer than four evenly spaced lines can be seen.
    """
    grey = _flattened(image)
    angle_deg = _direction(grey)
    profile = _profile(grey, angle_deg)
    correlation = _autocorrelation(profile)
    maxima = _maxima(correlation)
    if len(maxima) < LEAST_RULINGS - 1:
        raise _too_few(len(maxima) + 1)
    pitch_px, error_px = _fitted(profile, maxima[-1] / len(maxima))
    return Rulings(
        pitch_px=pitch_px,
        error_px=error_px,
        angle_deg=angle_deg,
        count=int(len(profile) / pitch_px),
        correlation=float(correlation[round(pitch_px)]),
        profile=tuple(profile.tolist()),
    )


def _too_few(count: int) -> StackError:
    return StackError(
        f"calibrate pixel-size: only {count} evenly spaced lines can be seen; at least "
        f"{LEAST_RULINGS} are needed: bring the ruling of a stage micrometer into focus and let it "
        "fill the frame"
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


def _fitted(profile: Profile, pitch_px: float) -> tuple[float, float]:
    """Return the pitch by the places of the lines, and its standard error, both in pixels."""
    pitch, line = pitch_px, _line(profile, pitch_px)
    for _ in range(_ROUNDS):
        centres = _centres(len(profile), pitch, line)
        if len(centres) < _LEAST_PLACES:
            raise _too_few(len(centres))
        numbers = np.arange(len(centres)) - (len(centres) - 1) / 2
        places = _places(profile, centres, pitch)
        spread = float(numbers @ numbers)
        pitch = float(numbers @ places) / spread
        line = float(places.mean() + pitch * numbers[0])
    off = places - places.mean() - pitch * numbers
    freedom = len(places) - 2
    return pitch, _student(freedom) * math.sqrt(float(off @ off) / freedom / spread)


def _student(freedom: int) -> float:
    """Return by how much a scatter of so few degrees of freedom may fall short, for 68 %."""
    return _T_68.get(freedom, 1 + 0.6 / freedom)


def _line(profile: Profile, pitch: float) -> float:
    """Return where a line is: where the profile, folded by the pitch, stands out most."""
    steps = np.arange(0.0, pitch, _FINE_PX)
    turns = np.arange(int(len(profile) / pitch)) * pitch
    folded = np.interp(steps[:, None] + turns, np.arange(len(profile)), profile).mean(axis=1)
    return float(steps[int(np.argmax(np.abs(folded - np.median(folded))))])


def _centres(length: int, pitch: float, line: float) -> Profile:
    """Return where lines should be, as far as there is half a pitch and more on either side."""
    room = pitch * (0.5 + _SOUGHT)
    first = math.ceil((room - line) / pitch)
    last = math.floor((length - 1 - room - line) / pitch)
    return np.asarray(line + pitch * np.arange(first, last + 1))


def _places(profile: Profile, centres: Profile, pitch: float) -> Profile:
    """Return where lines are that should be at `centres`: where each is most like their mean."""
    pixels = np.arange(len(profile))
    around = np.arange(-pitch / 2, pitch / 2 + _FINE_PX / 2, _FINE_PX)
    mean = np.interp(centres[:, None] + around, pixels, profile).mean(axis=0)
    shifts = np.arange(-_SOUGHT * pitch, _SOUGHT * pitch, _FINE_PX)
    found = []
    for centre in centres:
        shifted = np.interp(centre + shifts[:, None] + around, pixels, profile)
        likeness = -np.mean((shifted - mean) ** 2, axis=1)
        best = min(max(int(np.argmax(likeness)), 1), len(shifts) - 2)
        found.append(centre + shifts[0] + _FINE_PX * _vertex(likeness, best))
    return np.array(found)
