"""How far a part of the frame moved between two planes that show it equally blurred."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.types import FloatMap, as_floats

_ROUNDS: Final = 6
_SETTLED_PX: Final = 1e-3
_MOST_SHIFT_PX: Final = 8.0
_LEAST_DETAIL: Final = 0.02
_FINE_PX: Final = 1.5
_COARSE_PX: Final = 8.0

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """`shift_px` (2,): x, y; `known` (2, 2): the inverse of its covariance, in 1/px²."""

    shift_px: Numbers
    known: Numbers


def motion_between(first: FloatMap, second: FloatMap) -> Motion | None:
    """Return how far the content of `second` (H, W) lies from that of `first`.

    Gradients of both, least squares, a few rounds (B. Lucas and T. Kanade, «An iterative image
    registration technique», 1981). Beside the shift, a change of blur is solved for that may rise
    across the part: on a slope, the lower plane is sharper at one side, the upper at the other,
    which else looks like motion. None where one direction has no detail or the rounds do not
    settle within a few pixels.
    """
    window = cv2.createHanningWindow(first.shape[::-1], cv2.CV_32F)
    one, two = _detail(first), _detail(second)
    before = _changes(one) * window
    shift = np.zeros(2)
    for _ in range(_ROUNDS):
        back = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
        # Linear: OpenCV's cubic kernel moves what it interpolates by up to 0.04 px.
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = as_floats(
            cv2.warpAffine(two, back, two.shape[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT)
        )
        after = _changes(moved) * window
        # Noise is independent in the two, so that their product, unlike a square, is free of it.
        cross = np.einsum("iyx,jyx->ij", before, after, dtype=np.float64)
        normal = (cross + cross.T) / 2
        if np.linalg.eigvalsh(normal[:2, :2])[0] < _LEAST_DETAIL * one.size:
            return None
        terms, wanted = (before + after) / 2, (one - moved) * window
        change = np.linalg.solve(normal, np.einsum("iyx,yx->i", terms, wanted, dtype=np.float64))
        shift = shift + change[:2]
        if np.hypot(*shift) > _MOST_SHIFT_PX:
            return None
        if np.hypot(*change[:2]) < _SETTLED_PX:
            break
    left = wanted - np.einsum("i,iyx->yx", change, terms)
    known = _without_blur(normal) * float(np.sum(window**2) / np.sum(left**2))
    return Motion(shift, known) if np.linalg.eigvalsh(known)[0] > 0 else None


def _changes(part: FloatMap) -> FloatMap:
    """Return (5, H, W): how it changes with a shift, with blur, with blur that rises across it."""
    height, width = part.shape
    down, across = np.gradient(part)
    blur = np.gradient(across, axis=1) + np.gradient(down, axis=0)
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    return np.stack([across, down, blur, blur * x, blur * y])


def _without_blur(normal: Numbers) -> Numbers:
    """Return what is known of the shift, as the blur is not: the Schur complement."""
    shift, both, blur = normal[:2, :2], normal[:2, 2:], normal[2:, 2:]
    return np.asarray(shift - both @ np.linalg.solve(blur, both.T))


def _detail(part: FloatMap) -> FloatMap:
    """Return detail of a few pixels, less noisy, on a common level and contrast."""
    fine, coarse = (cv2.GaussianBlur(part, (0, 0), sigma) for sigma in (_FINE_PX, _COARSE_PX))
    return np.asarray(fine - coarse, np.float32)
