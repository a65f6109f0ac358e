"""One step of registration: image differences, summed into blocks, become a small motion.

Source: forward-additive Gauss-Newton on image differences (Lucas and Kanade 1981) with the mean
of both images' gradients (Malis 2004). Blocks are weighted by how well they fit, so that a part
which went out of focus or behind something else has little say; the spread of the solution is
the sandwich estimate (Huber 1967), which believes the blocks' disagreement and nothing else.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.geometry import Matrix, Motion
from zstackd_stacking.types import FloatMap, as_floats

SIMILARITY: Final = 4
TRANSLATION: Final = 2
BLOCK_PX: Final = 16
_WHOLE: Final = 0.999
_WORST_CONDITION: Final = 1e6
_REWEIGHTINGS: Final = 3
_TEXTURED: Final = 0.05

_Sums = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Solution:
    """A small motion of the image towards the template, and how sure it is, in pixels.

    `spread` is the standard deviation of each component, `residual_px` the blocks' rms
    disagreement.
    """

    motion: Motion
    spread: Motion
    residual_px: float


@dataclass(frozen=True, slots=True)
class _Equations:
    """Sums of each block: gradients and the difference that is left, (blocks,) each."""

    gxx: _Sums
    gxy: _Sums
    gyy: _Sums
    gxr: _Sums
    gyr: _Sums
    rr: _Sums
    basis: NDArray[np.float64]

    @property
    def texture(self) -> _Sums:
        return self.gxx + self.gyy


def warp(image: FloatMap, matrix: Matrix) -> FloatMap:
    """The image in the template's coordinates, 0 outside."""
    size = image.shape[1], image.shape[0]
    return as_floats(cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR))


def solve(
    template: FloatMap, mask: FloatMap, image: FloatMap, matrix: Matrix, parameters: int
) -> Solution | None:
    """The motion that, after `matrix`, brings `image` onto `template`; None without texture."""
    equations = _equations(template, mask, image, matrix, parameters)
    if not equations.texture.max() > 0:
        return None
    trust = 1.0 / (equations.rr + 0.05 * np.mean(equations.rr) + 1e-9)
    weight = trust
    motion: NDArray[np.float64] = np.zeros(parameters)
    for _ in range(_REWEIGHTINGS):
        normal, right = _normal(equations, weight)
        if np.linalg.cond(normal) > _WORST_CONDITION:
            return None
        motion = np.asarray(np.linalg.solve(normal, right), np.float64)
        misfit = _misfit(equations, motion)
        scale = float(np.median(misfit[_textured(equations)]))
        weight = trust / (1.0 + misfit / max(3 * scale, 1e-9))
    spread = _spread(equations, weight, normal, motion)
    by_texture = weight * equations.texture
    residual = float(np.sqrt(np.sum(by_texture * misfit) / np.sum(by_texture)))
    missing = SIMILARITY - parameters
    return Solution(np.pad(motion, (0, missing)), np.pad(spread, (0, missing)), residual)


def _equations(
    template: FloatMap, mask: FloatMap, image: FloatMap, matrix: Matrix, parameters: int
) -> _Equations:
    warped = warp(image, matrix)
    known = as_floats(mask * warp(np.ones_like(image), matrix) > _WHOLE)
    valid = as_floats(cv2.erode(known, np.ones((3, 3), np.uint8), borderValue=0))
    both = cv2.add(template, warped)
    gx = as_floats(cv2.multiply(cv2.Sobel(both, cv2.CV_32F, 1, 0, scale=1 / 16), valid))
    gy = as_floats(cv2.multiply(cv2.Sobel(both, cv2.CV_32F, 0, 1, scale=1 / 16), valid))
    rest = as_floats(cv2.scaleAdd(warped, -_gain(template, warped, valid), template))
    products = [(gx, gx), (gx, gy), (gy, gy), (gx, rest), (gy, rest), (rest, rest)]
    sums = [_blocks(as_floats(cv2.multiply(a, b))) for a, b in products]
    basis = _basis(template.shape, sums[0].shape, parameters)
    xx, xy, yy, xr, yr, rr = (part.astype(np.float64).ravel() for part in sums)
    return _Equations(xx, xy, yy, xr, yr, rr, basis)


def _gain(template: FloatMap, warped: FloatMap, valid: FloatMap) -> float:
    known = cv2.multiply(warped, valid)
    power = max(float(np.sum(known * warped)), 1e-9)
    return float(np.clip(np.sum(known * template) / power, 0.5, 2.0))


def _blocks(image: FloatMap) -> FloatMap:
    rows, columns = max(image.shape[0] // BLOCK_PX, 1), max(image.shape[1] // BLOCK_PX, 1)
    whole = image[: rows * BLOCK_PX, : columns * BLOCK_PX]
    return as_floats(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA))


def _basis(shape: tuple[int, ...], grid: tuple[int, ...], parameters: int) -> NDArray[np.float64]:
    """(parameters, 2, blocks): displacement of each block's centre for each parameter."""
    y, x = np.mgrid[: grid[0], : grid[1]].reshape(2, -1) * BLOCK_PX + (BLOCK_PX - 1) / 2
    half = max(shape) / 2
    x, y = (x - shape[1] / 2) / half, (y - shape[0] / 2) / half
    one, zero = np.ones_like(x), np.zeros_like(x)
    return np.array([[one, zero], [zero, one], [x, y], [-y, x]][:parameters])


def _normal(
    equations: _Equations, weight: _Sums
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    u, v = equations.basis[:, 0], equations.basis[:, 1]
    along_x = (u * equations.gxx + v * equations.gxy) * weight
    along_y = (u * equations.gxy + v * equations.gyy) * weight
    normal = along_x @ u.T + along_y @ v.T
    return normal, -(u @ (equations.gxr * weight) + v @ (equations.gyr * weight))


def _misfit(equations: _Equations, motion: Motion) -> _Sums:
    """Squared disagreement of each block after `motion`, in squared pixels."""
    dx, dy = np.einsum("pkn,p->kn", equations.basis, motion)
    curve = equations.gxx * dx * dx + 2 * equations.gxy * dx * dy + equations.gyy * dy * dy
    slope = 2 * (equations.gxr * dx + equations.gyr * dy)
    misfit = (curve + slope + equations.rr) / np.maximum(equations.texture, 1e-9)
    return np.asarray(np.maximum(misfit, 0.0), np.float64)


def _textured(equations: _Equations) -> NDArray[np.bool_]:
    return np.asarray(equations.texture > _TEXTURED * equations.texture.max())


def _spread(
    equations: _Equations, weight: _Sums, normal: NDArray[np.float64], motion: Motion
) -> Motion:
    dx, dy = np.einsum("pkn,p->kn", equations.basis, motion)
    pull_x = weight * (equations.gxx * dx + equations.gxy * dy + equations.gxr)
    pull_y = weight * (equations.gxy * dx + equations.gyy * dy + equations.gyr)
    scores = equations.basis[:, 0] * pull_x + equations.basis[:, 1] * pull_y
    inverse = np.linalg.inv(normal)
    return np.asarray(np.sqrt(np.diag(inverse @ (scores @ scores.T) @ inverse)), np.float64)
