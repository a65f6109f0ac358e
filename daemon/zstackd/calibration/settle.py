"""Settling: how long the image shakes after a move, and the rest that is really needed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd.calibration.spread import robust_sigma
from zstackd.runs.progress import Say, unheard
from zstackd.runs.settling import STILL_PX
from zstackd_config.errors import StackError
from zstackd_config.values import height
from zstackd_drivers.factory import Devices
from zstackd_stacking.planes import luma
from zstackd_stacking.types import FloatMap

QUIET_FRAMES: Final = 5
LEAST_CAUGHT: Final = 12
"""Frames within the shake from which its decay can be told."""
_LONGEST: Final = 2.5
"""Decays after which a shake of some pixels has come to rest."""
_LN_3: Final = math.log(3)
_NS_PER_MS: Final = 1e6
_LEAST_STILL_PX: Final = 0.02
_OUTLIER: Final = 12.0


@dataclass(frozen=True, slots=True)
class Settling:
    """The shake after a move: a decaying one, seen in every frame of every move.

    `shake_px`: its size (root mean square along one axis) when the axis reports rest.
    `decay_ms`: time in which it falls to a third. `noise_px`: what is left when all is still.
    `settle_ms`: rest after which the shake is below `STILL_PX`. `error_ms`: its standard error, by
    leaving out one move after the other (jackknife). `since_ms` and `moved_px`: each
    frame's time since the move, at mid exposure, and its distance from the resting place.
    """

    shake_px: float
    decay_ms: float
    noise_px: float
    settle_ms: float
    error_ms: float
    since_ms: tuple[float, ...]
    moved_px: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Watch:
    """The frames after one move: (N,) times since it, (N, 2) shifts."""

    since_ms: NDArray[np.float64]
    moved_px: NDArray[np.float64]


def measure_settling(
    devices: Devices,
    *,
    near_um: float,
    far_um: float,
    moves: int,
    watch_ms: float,
    say: Say = unheard,
) -> Settling:
    """Move `moves` times from `far_um` to `near_um` and watch the image for `watch_ms` each time.

    `near_um` is where the specimen is in focus. The last frames of each watch are the resting
    place; the shift of the others against their mean is measured by phase correlation.

    A slow camera takes a frame or two while it shakes, so each watch begins a little later than
    the one before: those of the first half soon and less soon, those of the second half spread
    over the shake that the first half saw.

    Raises:
        StackError: too few frames were taken while the image shook.
    """
    watches: list[_Watch] = []
    half = moves // 2
    delays_ms = [watch_ms * (turn / half) ** 2 for turn in range(half)]
    for turn in range(2 * half):
        if turn == half:
            seen_ms = min(watch_ms, _LONGEST * _fitted(watches).decay_ms)
            delays_ms += [seen_ms * turn / half for turn in range(half)]
        say(f"move {turn + 1} of {2 * half}, onto {height(near_um)}")
        devices.axis.move_to(far_um)
        devices.axis.move_to(near_um)
        times_ms, frames = _watched(devices, delays_ms[turn], watch_ms)
        watches.append(_Watch(np.array(times_ms), np.array(_shifts_px(frames))))
    say("the decay of the shake")
    found = _fitted(watches)
    require_shaking_frames(found)
    others = [_fitted(watches[:i] + watches[i + 1 :]).settle_ms for i in range(len(watches))]
    error_ms = float(np.std(others)) * math.sqrt(len(watches) - 1)
    return replace(found, error_ms=error_ms)


def require_shaking_frames(found: Settling) -> None:
    """Raise StackError where the decay is a guess: no frames to tell it by."""
    caught = sum(since_ms < _LONGEST * found.decay_ms for since_ms in found.since_ms)
    if found.settle_ms > 0 and caught < LEAST_CAUGHT:
        raise StackError(
            f"calibrate settle: only {caught} frames were taken while the image shook, "
            f"{LEAST_CAUGHT} are needed: the camera is too slow for a shake that is over so soon; "
            "shorten its exposure, watch more moves (--moves), or set focus.settle_ms: auto"
        )


def _watched(
    devices: Devices, delay_ms: float, watch_ms: float
) -> tuple[list[float], list[FloatMap]]:
    """Return every frame from `delay_ms` on, until `watch_ms` and five quiet frames are over."""
    start_ns = devices.clock.monotonic_ns()
    after_ns = start_ns + round(delay_ms * _NS_PER_MS)
    times_ms: list[float] = []
    frames: list[FloatMap] = []
    late = 0
    while late < QUIET_FRAMES:
        frame = devices.camera.capture(after_ns=after_ns)
        after_ns = frame.sensor_timestamp_ns
        middle_ms = (after_ns - start_ns) / _NS_PER_MS + frame.exposure.exposure_time_ms / 2
        times_ms.append(middle_ms)
        frames.append(luma(frame.image).astype(np.float32))
        late += middle_ms > watch_ms
    return times_ms, frames


def _shifts_px(frames: list[FloatMap]) -> list[tuple[float, float]]:
    """Return each frame's shift against the mean of the last quiet ones."""
    still = np.asarray(np.mean(frames[-QUIET_FRAMES:], axis=0), np.float32)
    height, width = still.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    shifts = [cv2.phaseCorrelate(still, frame, window)[0] for frame in frames]
    return [(float(x), float(y)) for x, y in shifts]


def _fitted(watches: Sequence[_Watch]) -> Settling:
    """Fit shake² · 9^(−t/decay) + noise² to the variance of the shifts.

    The shake oscillates, so single shifts say little; the likelihood of all of them, as normal
    deviates whose variance decays, is maximised over a grid that closes in on the best pair. A
    knock on the table counts no more than a bounded amount.
    """
    since_ms = np.concatenate([watch.since_ms for watch in watches])
    moved_px = np.concatenate([watch.moved_px for watch in watches])
    quiet = since_ms > np.quantile(since_ms, 0.8)
    noise_px = max(robust_sigma(moved_px[quiet]), _LEAST_STILL_PX)
    squares = np.mean(moved_px**2, axis=1)
    centre = (math.log(max(1.0, float(np.sqrt(squares.max())))), math.log(50.0))
    reach = math.log(60.0)
    for _ in range(8):
        grid = [
            (first, second)
            for first in np.linspace(centre[0] - reach, centre[0] + reach, 13)
            for second in np.linspace(centre[1] - reach, centre[1] + reach, 13)
        ]
        costs = [_cost(since_ms, squares, pair, noise_px) for pair in grid]
        centre = grid[int(np.argmin(costs))]
        reach /= 2.5
    shake_px, decay_ms = math.exp(centre[0]), math.exp(centre[1])
    return Settling(
        shake_px=shake_px,
        decay_ms=decay_ms,
        noise_px=noise_px,
        settle_ms=max(0.0, decay_ms * math.log(max(shake_px / STILL_PX, 1e-9)) / _LN_3),
        error_ms=0.0,
        since_ms=tuple(since_ms.tolist()),
        moved_px=tuple(np.hypot(moved_px[:, 0], moved_px[:, 1]).tolist()),
    )


def _cost(
    since_ms: NDArray[np.float64],
    squares: NDArray[np.float64],
    logs: tuple[float, float],
    noise_px: float,
) -> float:
    shake_px, decay_ms = math.exp(logs[0]), math.exp(logs[1])
    variance = shake_px**2 * 9.0 ** (-since_ms / decay_ms) + noise_px**2
    return float(np.sum(np.log(variance) + np.minimum(squares / variance, _OUTLIER)))
