"""Breathing: how the magnification changes with focus, from parts of the frame seen twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd.calibration.spread import robust_sigma
from zstackd.runs.autofocus import frame_at_rest
from zstackd_config.errors import StackError
from zstackd_drivers.factory import Devices
from zstackd_stacking.focus_curve import NoPeak, find_peak
from zstackd_stacking.planes import luma
from zstackd_stacking.sharpness import sharpness
from zstackd_stacking.types import FloatMap, Image, as_floats

LEAST_PARTS: Final = 12
PARTS_PER_SIDE: Final = 12
LEAST_PART_PX: Final = 32
DEPTHS_APART: Final = (2, 3)
_ROUNDS: Final = 6
_NOISE_FRAMES: Final = 5
_MOST_SHIFT_PX: Final = 8.0
_LEAST_DETAIL: Final = 0.02
_TUKEY: Final = 4.685
_LEAST_SPREAD: Final = 1.5e-9
_UM_PER_MM: Final = 1e3

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Breathing:
    """Relative change of magnification per millimetre of focus, with its standard error.

    `radius_px` and `drift_px_per_mm`: of each part of the frame, its distance from the middle and
    how fast it moves outwards.
    """

    per_mm: float
    error_per_mm: float
    radius_px: tuple[float, ...]
    drift_px_per_mm: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """One part of the frame: where it is, and how it moves with focus (x, y per µm)."""

    at_px: tuple[float, float]
    px_per_um: tuple[float, float]


def measure_breathing(
    devices: Devices, *, heights_um: list[float], depth_um: float, settle_ms: float
) -> Breathing:
    """Take a plane at each height and return how the magnification follows the focus.

    `heights_um`: evenly spaced, rising, through the focus of a specimen with detail all over.
    """
    frames: list[FloatMap] = []
    for z_um in heights_um:
        devices.axis.move_to(z_um)
        frames.append(_look(devices, settle_ms))
    still = [frames[-1], *(_look(devices, settle_ms) for _ in range(_NOISE_FRAMES - 1))]
    return breathing_of(frames, heights_um, still=still, depth_um=depth_um)


def breathing_of(
    frames: list[FloatMap], heights_um: list[float], *, still: list[FloatMap], depth_um: float
) -> Breathing:
    """Return the breathing in frames (H, W) float32, one for each height.

    `still`: frames at one height, which tell the noise of a part's sharpness; without it, the
    highest of some planes far from focus would pass for a peak now and then.

    Each part of the frame has a height at which it is in focus. Two planes equally far above and
    below that show it equally blurred, so that how far it moved between them can be found
    whatever the relief; the outward motion over the distance from the middle is the change
    of magnification. A drift of the whole field is fitted with it; parts that disagree (moving
    or overhanging things) lose their weight (Tukey's biweight).

    Raises:
        StackError: fewer than twelve parts of the frame go through focus.
    """
    parts = _parts(frames, heights_um, still, depth_um)
    if len(parts) < LEAST_PARTS:
        raise StackError(
            f"calibrate magnification: only {len(parts)} parts of the frame go through focus "
            f"between {heights_um[0]:g} and {heights_um[-1]:g} µm; at least {LEAST_PARTS} are "
            "needed: choose the range around the focus of a specimen with detail all over"
        )
    return _fitted(parts, centre=((frames[0].shape[1] - 1) / 2, (frames[0].shape[0] - 1) / 2))


def _look(devices: Devices, settle_ms: float) -> FloatMap:
    return _grey(frame_at_rest(devices, settle_ms=settle_ms).image)


def _parts(
    frames: list[FloatMap], heights_um: list[float], still: list[FloatMap], depth_um: float
) -> list[Moved]:
    height, width = frames[0].shape
    side = max(LEAST_PART_PX, min(height, width) // PARTS_PER_SIDE) // 2 * 2
    corners = product(range(0, width - side + 1, side), range(0, height - side + 1, side))
    return [
        moved
        for x, y in corners
        for moved in _moved(
            [frame[y : y + side, x : x + side] for frame in frames],
            heights_um,
            noise=_noise([frame[y : y + side, x : x + side] for frame in still]),
            depth_um=depth_um,
            middle_px=(x + (side - 1) / 2, y + (side - 1) / 2),
        )
    ]


def _noise(part: list[FloatMap]) -> float:
    return float(np.std(_sharpness(part), ddof=1))


def _sharpness(part: list[FloatMap]) -> list[float]:
    return [sharpness(np.asarray(np.clip(frame, 0, 255), np.uint8)) for frame in part]


def _moved(
    part: list[FloatMap],
    heights_um: list[float],
    *,
    noise: float,
    depth_um: float,
    middle_px: tuple[float, float],
) -> Iterator[Moved]:
    """Yield how one part moves with focus, from pairs of planes some depths of field apart."""
    peak = find_peak(heights_um, _sharpness(part), noise=noise)
    if isinstance(peak, NoPeak):
        return
    step_um = heights_um[1] - heights_um[0]
    twice = round(2 * (peak.z_um - heights_um[0]) / step_um)
    for depths in DEPTHS_APART:
        apart = max(1, round(depths * depth_um / step_um))
        low, high = (twice - apart) // 2, (twice + apart + 1) // 2
        if low < 0 or high >= len(part):
            return
        shift = _shift(part[low], part[high])
        if shift is not None:
            span_um = heights_um[high] - heights_um[low]
            yield Moved(middle_px, (shift[0] / span_um, shift[1] / span_um))


def _shift(first: FloatMap, second: FloatMap) -> tuple[float, float] | None:
    """Return how far (x, y) the content of `second` lies from that of `first`, in pixels.

    Gradients of both, least squares, a few rounds (B. Lucas and T. Kanade, 1981). None where one
    direction has no detail or the rounds do not settle within a few pixels.
    """
    window = cv2.createHanningWindow(first.shape[::-1], cv2.CV_32F)
    one, two = _smooth(first), _smooth(second)
    shift = np.zeros(2)
    for _ in range(_ROUNDS):
        back = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
        # Linear: OpenCV's cubic kernel moves what it interpolates by up to 0.04 px.
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = as_floats(
            cv2.warpAffine(two, back, two.shape[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT)
        )
        before, after = _slopes(one) * window, _slopes(moved) * window
        # Noise is independent in the two, so that their product, unlike a square, is free of it.
        cross = np.einsum("iyx,jyx->ij", before, after)
        tensor = (cross + cross.T) / 2
        if np.linalg.eigvalsh(tensor)[0] < _LEAST_DETAIL * one.size:
            return None
        wanted = np.einsum("iyx,yx->i", (before + after) / 2, (one - moved) * window)
        change = np.linalg.solve(tensor, wanted)
        shift = shift + change
        if np.hypot(*shift) > _MOST_SHIFT_PX:
            return None
    return float(shift[0]), float(shift[1])


def _slopes(part: FloatMap) -> FloatMap:
    return np.stack([np.gradient(part, axis=1), np.gradient(part, axis=0)])


def _smooth(part: FloatMap) -> FloatMap:
    """Return detail of a few pixels, less noisy, on a common level and contrast."""
    band = cv2.GaussianBlur(part, (0, 0), 1.5) - cv2.GaussianBlur(part, (0, 0), 8.0)
    return np.asarray(band, np.float32)


def _fitted(parts: list[Moved], *, centre: tuple[float, float]) -> Breathing:
    places = np.array([part.at_px for part in parts]) - centre
    motions = np.array([part.px_per_um for part in parts])
    weights = np.ones(len(parts))
    for _ in range(_ROUNDS):
        scale, drift, error = _weighted(places, motions, weights)
        off = np.hypot(*(motions - drift - scale * places).T)
        bound = _TUKEY * max(robust_sigma(off), _LEAST_SPREAD)
        weights = np.where(off < bound, (1 - (off / bound) ** 2) ** 2, 0.0)
    radius = np.hypot(*places.T)
    outward = np.sum((motions - drift) * places, axis=1) / np.maximum(radius, 1.0)
    return Breathing(
        per_mm=scale * _UM_PER_MM,
        error_per_mm=error * _UM_PER_MM,
        radius_px=tuple(radius.tolist()),
        drift_px_per_mm=tuple((outward * _UM_PER_MM).tolist()),
    )


def _weighted(places: Numbers, motions: Numbers, weights: Numbers) -> tuple[float, Numbers, float]:
    """Return scale, drift and the scale's standard error of motion = drift + scale · place."""
    share = weights[:, None] / weights.sum()
    mean_place, mean_motion = (places * share).sum(axis=0), (motions * share).sum(axis=0)
    arms, moved = places - mean_place, motions - mean_motion
    spread = float((weights[:, None] * arms**2).sum())
    scale = float((weights[:, None] * arms * moved).sum()) / spread
    left = float((weights[:, None] * (moved - scale * arms) ** 2).sum() / (2 * weights.sum()))
    return scale, mean_motion - scale * mean_place, float(np.sqrt(left / spread))


def _grey(image: Image) -> FloatMap:
    """Return brightness on a scale of 0 to 255."""
    full = float(np.iinfo(image.dtype).max)
    return as_floats(luma(image) * np.float32(255 / full))
