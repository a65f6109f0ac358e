"""Affine geometry in whole-image pixel coordinates (x, y; pixel centres at whole numbers)."""

from math import hypot

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""(2, 3) float64: takes (x, y, 1) of the frame to (x, y) of the reference."""

Motion = NDArray[np.float64]
"""(4,) px: shift x, shift y at the image's centre; how far magnification and rotation each move
a point half the longer side away from it."""


def identity() -> Matrix:
    """The transform that moves nothing."""
    return np.eye(2, 3)


def compose(outer: Matrix, inner: Matrix) -> Matrix:
    """`inner` first, then `outer`."""
    return np.asarray(outer @ np.vstack([inner, [0.0, 0.0, 1.0]]), np.float64)


def invert(matrix: Matrix) -> Matrix:
    """The transform back."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def rescale(matrix: Matrix, factor: float) -> Matrix:
    """The same transform for images reduced by 1/`factor` with pixel 0 kept in place."""
    scaled = matrix.copy()
    scaled[:, 2] *= factor
    return scaled


def shifted(matrix: Matrix, dx_px: float, dy_px: float) -> Matrix:
    """The transform followed by a shift."""
    moved = matrix.copy()
    moved[:, 2] += (dx_px, dy_px)
    return moved


def from_motion(motion: Motion, shape: tuple[int, int]) -> Matrix:
    """The similarity that a small motion of an image (H, W) is."""
    half, cx, cy = max(shape) / 2, shape[1] / 2, shape[0] / 2
    tx, ty = motion[:2]
    a, b = motion[2:] / half
    linear = np.array([[1 + a, -b], [b, 1 + a]])
    return np.column_stack([linear, (tx - a * cx + b * cy, ty - b * cx - a * cy)])


def motion_between(before: Matrix, after: Matrix, shape: tuple[int, int]) -> Motion:
    """The motion that, after `before`, gives `after`; both nearly similarities."""
    step = compose(after, invert(before))
    half, centre = max(shape) / 2, np.array([shape[1] / 2, shape[0] / 2, 1.0])
    a = (step[0, 0] + step[1, 1]) / 2 - 1
    b = (step[1, 0] - step[0, 1]) / 2
    tx, ty = step @ centre - centre[:2]
    return np.array([tx, ty, a * half, b * half])


def corner_motion_px(first: Matrix, second: Matrix, *, width: int, height: int) -> float:
    """How far apart the two transforms put the corner on which they differ most."""
    corners = np.array([[0, width - 1, 0, width - 1], [0, 0, height - 1, height - 1], [1, 1, 1, 1]])
    delta = (first - second) @ corners
    return float(np.hypot(delta[0], delta[1]).max())


def scale_and_rotation(matrix: Matrix) -> tuple[float, float]:
    """Magnification and rotation in radians of a transform that is nearly a similarity."""
    a, b = (matrix[0, 0] + matrix[1, 1]) / 2, (matrix[1, 0] - matrix[0, 1]) / 2
    return hypot(a, b), float(np.arctan2(b, a))
