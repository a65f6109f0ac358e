"""Breathing: how the magnification changes with focus, from parts of the frame seen twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from zstackd.calibration.part_motion import motion_between
from zstackd.calibration.spread import robust_sigma
from zstackd.runs.autofocus import frame_at_rest
from zstackd.runs.progress import Say, said_planes, unheard
from zstackd_config.errors import StackError
from zstackd_drivers.factory import Devices
from zstackd_stacking.focus_curve import NoPeak, find_peak
from zstackd_stacking.planes import luma
from zstackd_stacking.sharpness import sharpness
from zstackd_stacking.types import FloatMap, Image, as_floats

LEAST_PARTS: Final = 12
PARTS_PER_SIDE: Final = 12
LEAST_PART_PX: Final = 32
DEPTHS_APART: Final = (1, 2, 3)
_ROUNDS: Final = 12
_NOISE_FRAMES: Final = 5
_TUKEY: Final = 4.685
_BLOCKS_PER_SIDE: Final = 4
_LEAST_SPREAD: Final = 1e-9
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


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """One part of the frame: where it is, how it moves with focus (x, y), how surely.

    `known` (2, 2): the inverse of the motion's covariance, in (µm/px)².
    """

    at_px: tuple[float, float]
    px_per_um: Numbers
    known: Numbers


def measure_breathing(
    devices: Devices,
    *,
    heights_um: list[float],
    depth_um: float,
    settle_ms: float,
    say: Say = unheard,
) -> Breathing:
    """Take a plane at each height and return how the magnification follows the focus.

    `heights_um`: evenly spaced, rising, through the focus of a specimen with detail all over.
    """
    frames: list[FloatMap] = []
    for z_um in said_planes(heights_um, say):
        devices.axis.move_to(z_um)
        frames.append(_look(devices, settle_ms))
    say(f"noise of {_NOISE_FRAMES} frames")
    still = [frames[-1], *(_look(devices, settle_ms) for _ in range(_NOISE_FRAMES - 1))]
    say("how the parts of the frame move")
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
            f"between {heights_um[0]:zg} and {heights_um[-1]:zg} µm; at least {LEAST_PARTS} are "
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
    hop = side // 2
    corners = product(range(0, width - side + 1, hop), range(0, height - side + 1, hop))
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
        motion = motion_between(part[low], part[high])
        if motion is not None:
            span_um = heights_um[high] - heights_um[low]
            yield Moved(middle_px, motion.shift_px / span_um, motion.known * span_um**2)


def _fitted(parts: list[Moved], *, centre: tuple[float, float]) -> Breathing:
    """Fit motion = drift + scale · place to all parts, each by what it knows of its motion."""
    field = _Field.of(parts, centre)
    found, error = field.fit()
    radius = np.hypot(*field.places.T)
    outward = np.sum((field.motions - found[:2]) * field.places, axis=1) / np.maximum(radius, 1.0)
    return Breathing(
        per_mm=float(found[2]) * _UM_PER_MM,
        error_per_mm=max(error, _error_between(field)) * _UM_PER_MM,
        radius_px=tuple(radius.tolist()),
        drift_px_per_mm=tuple((outward * _UM_PER_MM).tolist()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """Of n parts: `places` (n, 2) from the middle, `motions` (n, 2) and `known` (n, 2, 2)."""

    places: Numbers
    motions: Numbers
    known: Numbers

    @classmethod
    def of(cls, parts: list[Moved], centre: tuple[float, float]) -> "_Field":
        places = np.array([part.at_px for part in parts]) - centre
        motions = np.array([part.px_per_um for part in parts])
        return cls(places, motions, np.array([part.known for part in parts]))

    def fit(self) -> tuple[Numbers, float]:
        """Return drift (x, y) and scale, and the scale's error by how parts scatter."""
        known, motions = self.known, self.motions
        unit = np.broadcast_to(np.eye(2), known.shape)
        terms = np.concatenate([unit, self.places[..., None]], axis=2)
        weights = np.ones(len(motions))
        for _ in range(_ROUNDS):
            weighted = weights[:, None, None] * known
            inverse = np.linalg.inv(np.einsum("nji,njk,nkl->il", terms, weighted, terms))
            found = inverse @ np.einsum("nji,njk,nk->i", terms, weighted, motions)
            left = motions - terms @ found
            off = np.sqrt(np.einsum("ni,nij,nj->n", left, known, left))
            bound = _TUKEY * max(robust_sigma(off), _LEAST_SPREAD)
            weights = np.where(off < bound, (1 - (off / bound) ** 2) ** 2, 0.0)
        spread = np.einsum("n,ni,nij,nj->", weights, left, known, left) / weights.sum()
        return found, float(np.sqrt(len(DEPTHS_APART) * spread / 2 * inverse[2, 2]))

    def without(self, left_out: NDArray[np.bool_]) -> "_Field":
        """The same without some of its parts."""
        kept = ~left_out
        return _Field(self.places[kept], self.motions[kept], self.known[kept])


def _error_between(field: _Field) -> float:
    """Return the scale's error by how much blocks of the frame, each left out once, change it.

    Parts overlap and share slopes and edges, so that they scatter less than they err together.
    The delete-one-group jackknife: J. Shao and D. Tu, «The jackknife and bootstrap» (1995), 2.3.
    """
    reach = np.abs(field.places).max(axis=0) + 1
    column, row = np.floor((field.places / reach + 1) / 2 * _BLOCKS_PER_SIDE).astype(int).T
    block = row * _BLOCKS_PER_SIDE + column
    rests = [field.without(block == left_out) for left_out in np.unique(block)]
    scales = [rest.fit()[0][2] for rest in rests if len(rest.places) >= LEAST_PARTS // 2]
    return float(np.sqrt(max(len(scales) - 1, 0) * np.var(scales))) if scales else 0.0


def _grey(image: Image) -> FloatMap:
    """Return brightness on a scale of 0 to 255."""
    full = float(np.iinfo(image.dtype).max)
    return as_floats(luma(image) * np.float32(255 / full))
