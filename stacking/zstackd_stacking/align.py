"""Register each frame to its neighbour, in the coordinates of the reference frame.

Source: forward-additive Gauss-Newton on image differences (Lucas and Kanade 1981) with the mean
of both images' gradients (Malis 2004), coarse to fine. Pixels are summed into blocks, and the
blocks are weighted by how well they fit, so that a part which went out of focus or behind
something else has little say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.geometry import (
    Matrix,
    compose,
    corner_motion_px,
    identity,
    rescale,
    scale_and_rotation,
    shifted,
)
from zstackd_stacking.types import FloatMap, as_floats, as_image

FINEST_SIDE_PX: Final = 640
COARSEST_SIDE_PX: Final = 80
MIN_CORRELATION: Final = 0.35
MAX_SCALE_STEP: Final = 0.06
MAX_ROTATION_STEP_RAD: Final = 0.06
MAX_MOTION_OF_SIDE: Final = 0.2
_BLOCK_PX: Final = 16
_ITERATIONS: Final = 8
_CONVERGED_PX: Final = 0.004
_SIMILARITY: Final = 4
_TRANSLATION: Final = 2
_WHOLE: Final = 0.999
_WORST_CONDITION: Final = 1e6


@dataclass(frozen=True, slots=True)
class Reduced:
    """Band-passed luminance at reduced sizes, finest first; `factors` are the reductions."""

    factors: tuple[int, ...]
    levels: tuple[FloatMap, ...]


@dataclass(frozen=True, slots=True)
class Registration:
    """Where a frame lies. `residual_px` is the blocks' rms disagreement in frame pixels."""

    matrix: Matrix
    correlation: float
    residual_px: float


@dataclass(frozen=True, slots=True)
class Template:
    """A frame already registered: its reduced images in reference coordinates."""

    reduced: Reduced
    masks: tuple[FloatMap, ...]
    matrix: Matrix
    step: Matrix


def reduce_luma(luma: NDArray[np.uint8] | NDArray[np.uint16]) -> Reduced:
    """Reduced, band-passed copies of a frame's luminance (H, W)."""
    image, factor = luma, 1
    while max(image.shape) > FINEST_SIDE_PX:
        image, factor = as_image(cv2.pyrDown(image)), factor * 2
    factors, levels = [factor], [image.astype(np.float32)]
    while max(levels[-1].shape) > COARSEST_SIDE_PX and min(levels[-1].shape) >= 2 * _BLOCK_PX:
        levels.append(as_floats(cv2.pyrDown(levels[-1])))
        factors.append(factors[-1] * 2)
    return Reduced(tuple(factors), tuple(_band_pass(level) for level in levels))


def first_template(reduced: Reduced) -> Template:
    """The reference frame as the first template."""
    masks = tuple(np.ones_like(level) for level in reduced.levels)
    return Template(reduced, masks, identity(), identity())


def next_template(template: Template, reduced: Reduced, matrix: Matrix) -> Template:
    """The template for the neighbour of a frame that was registered to `matrix`."""
    levels, masks = [], []
    for factor, level in zip(reduced.factors, reduced.levels, strict=True):
        scaled = rescale(matrix, 1 / factor)
        levels.append(_warp(level, scaled))
        masks.append(_warp(np.ones_like(level), scaled))
    step = _step(template.matrix, matrix)
    return Template(Reduced(reduced.factors, tuple(levels)), tuple(masks), matrix, step)


def predict(template: Template) -> Matrix:
    """Where the next frame should lie if it moves on as the last one did."""
    return compose(template.step, template.matrix)


def register(template: Template, reduced: Reduced) -> Registration | None:
    """Register a frame to the template, or None where the two do not belong together."""
    start = _best_start(template, reduced)
    for parameters in (_SIMILARITY, _TRANSLATION):
        found = _coarse_to_fine(template, reduced, start, parameters)
        if found is not None and _plausible(template, reduced, found):
            return found
    return None


def correlation(template: Template, reduced: Reduced, matrix: Matrix, *, level: int = 0) -> float:
    """Correlation of the band-passed images where both are known, -1 to 1."""
    scaled = rescale(matrix, 1 / reduced.factors[level])
    warped = _warp(reduced.levels[level], scaled)
    mask = template.masks[level] * _warp(np.ones_like(warped), scaled)
    return _correlation(template.reduced.levels[level], warped, mask)


def _step(before: Matrix, after: Matrix) -> Matrix:
    linear = after[:, :2] @ np.linalg.inv(before[:, :2])
    return np.column_stack([linear, after[:, 2] - linear @ before[:, 2]])


def _band_pass(level: FloatMap) -> FloatMap:
    fine = cv2.GaussianBlur(level, (3, 3), 0)
    coarse = cv2.blur(cv2.blur(level, (13, 13)), (13, 13))
    return np.asarray(cv2.subtract(fine, coarse), np.float32)


def _warp(image: FloatMap, matrix: Matrix) -> FloatMap:
    size = image.shape[1], image.shape[0]
    return np.asarray(cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR), np.float32)


def _correlation(first: FloatMap, second: FloatMap, mask: FloatMap) -> float:
    masked = first * mask
    power = float(np.sum(masked * first)) * float(np.sum(second * second * mask))
    return float(np.sum(masked * second) / np.sqrt(max(power, 1e-12)))


def _best_start(template: Template, reduced: Reduced) -> Matrix:
    level = len(reduced.levels) - 1
    candidates = [predict(template), template.matrix]
    candidates += [_phase_shift(template, reduced, matrix, level) for matrix in candidates[:1]]
    scores = [correlation(template, reduced, matrix, level=level) for matrix in candidates]
    return candidates[int(np.argmax(scores))]


def _phase_shift(template: Template, reduced: Reduced, matrix: Matrix, level: int) -> Matrix:
    factor = reduced.factors[level]
    warped = _warp(reduced.levels[level], rescale(matrix, 1 / factor))
    window = cv2.createHanningWindow((warped.shape[1], warped.shape[0]), cv2.CV_32F)
    (dx, dy), _ = cv2.phaseCorrelate(warped, template.reduced.levels[level], window)
    return shifted(matrix, dx * factor, dy * factor)


def _coarse_to_fine(
    template: Template, reduced: Reduced, start: Matrix, parameters: int
) -> Registration | None:
    matrix, residual_px, score = start, 0.0, 0.0
    for level in reversed(range(len(reduced.levels))):
        factor = reduced.factors[level]
        found = _refine(
            template.reduced.levels[level],
            template.masks[level],
            reduced.levels[level],
            rescale(matrix, 1 / factor),
            parameters,
        )
        if found is None:
            return None
        matrix, residual_px = rescale(found[0], factor), found[1] * factor
    score = correlation(template, reduced, matrix)
    if score < max(MIN_CORRELATION, correlation(template, reduced, start) - 1e-3):
        return None
    return Registration(matrix, score, residual_px)


def _plausible(template: Template, reduced: Reduced, found: Registration) -> bool:
    height, width = reduced.levels[0].shape
    factor = reduced.factors[0]
    motion_px = corner_motion_px(
        found.matrix, template.matrix, width=width * factor, height=height * factor
    )
    scale, rotation = scale_and_rotation(_step(template.matrix, found.matrix))
    return (
        motion_px <= MAX_MOTION_OF_SIDE * max(width, height) * factor
        and abs(scale - 1) <= MAX_SCALE_STEP
        and abs(rotation) <= MAX_ROTATION_STEP_RAD
    )


def _refine(
    template: FloatMap, mask: FloatMap, image: FloatMap, matrix: Matrix, parameters: int
) -> tuple[Matrix, float] | None:
    residual_px = 0.0
    height, width = template.shape
    for _ in range(_ITERATIONS):
        sums = _block_sums(template, mask, image, matrix)
        solved = _solve(sums, (height, width), parameters)
        if solved is None:
            return None
        update, residual_px = solved
        moved = compose(update, matrix)
        step_px = corner_motion_px(moved, matrix, width=width, height=height)
        matrix = moved
        if step_px < _CONVERGED_PX:
            break
    return matrix, residual_px


def _block_sums(
    template: FloatMap, mask: FloatMap, image: FloatMap, matrix: Matrix
) -> NDArray[np.float64]:
    warped = _warp(image, matrix)
    known = mask * _warp(np.ones_like(image), matrix) > _WHOLE
    valid = as_floats(cv2.erode(as_floats(known), np.ones((3, 3), np.uint8), borderValue=0))
    both = cv2.add(template, warped)
    gx = cv2.multiply(cv2.Sobel(both, cv2.CV_32F, 1, 0, scale=1 / 16), valid)
    gy = cv2.multiply(cv2.Sobel(both, cv2.CV_32F, 0, 1, scale=1 / 16), valid)
    gain = _gain(template, warped, valid)
    rest = cv2.scaleAdd(warped, -gain, template)
    products = [(gx, gx), (gx, gy), (gy, gy), (gx, rest), (gy, rest), (rest, rest)]
    return np.stack([_blocks(as_floats(cv2.multiply(a, b))) for a, b in products]).astype(
        np.float64
    )


def _gain(template: FloatMap, warped: FloatMap, valid: FloatMap) -> float:
    known = cv2.multiply(warped, valid)
    power = max(float(np.sum(known * warped)), 1e-9)
    return float(np.clip(np.sum(known * template) / power, 0.5, 2.0))


def _blocks(image: FloatMap) -> FloatMap:
    rows, columns = image.shape[0] // _BLOCK_PX, image.shape[1] // _BLOCK_PX
    whole = image[: rows * _BLOCK_PX, : columns * _BLOCK_PX]
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def _solve(
    sums: NDArray[np.float64], shape: tuple[int, int], parameters: int
) -> tuple[Matrix, float] | None:
    """One robustly weighted Gauss-Newton step from the sums of each block."""
    gxx, gxy, gyy, gxr, gyr, rr = sums.reshape(6, -1)
    basis = _basis(shape, sums.shape[1:], parameters)
    texture = gxx + gyy
    if not texture.max() > 0:
        return None
    weight = 1.0 / (rr + 0.05 * np.mean(rr) + 1e-9)
    solution = np.zeros(parameters)
    for _ in range(3):
        solution, ok = _weighted_solution(basis, (gxx, gxy, gyy, gxr, gyr), weight)
        if not ok:
            return None
        dx, dy = np.einsum("pkn,p->kn", basis, solution)
        along = gxx * dx * dx + 2 * gxy * dx * dy + gyy * dy * dy
        misfit = (along + 2 * (gxr * dx + gyr * dy) + rr) / np.maximum(texture, 1e-9)
        scale = np.median(misfit[texture > 0.05 * texture.max()])
        weight = 1.0 / (rr + 0.05 * np.mean(rr) + 1e-9) / (1.0 + misfit / max(3 * scale, 1e-9))
    residual = float(np.sqrt(np.sum(weight * texture * misfit) / np.sum(weight * texture)))
    return _as_matrix(solution, shape, parameters), residual


def _basis(shape: tuple[int, int], grid: Sequence[int], parameters: int) -> NDArray[np.float64]:
    """(parameters, 2, blocks): displacement of each block's centre for each parameter."""
    y, x = np.mgrid[: grid[0], : grid[1]].reshape(2, -1) * _BLOCK_PX + (_BLOCK_PX - 1) / 2
    half = max(shape) / 2
    x, y = (x - shape[1] / 2) / half, (y - shape[0] / 2) / half
    one, zero = np.ones_like(x), np.zeros_like(x)
    return np.array([[one, zero], [zero, one], [x, y], [-y, x]][:parameters])


def _weighted_solution(
    basis: NDArray[np.float64],
    parts: tuple[NDArray[np.float64], ...],
    weight: NDArray[np.float64],
) -> tuple[NDArray[np.float64], bool]:
    gxx, gxy, gyy, gxr, gyr = (part * weight for part in parts)
    u, v = basis[:, 0], basis[:, 1]
    along_x, along_y = u * gxx + v * gxy, u * gxy + v * gyy
    normal = np.einsum("pn,qn->pq", along_x, u) + np.einsum("pn,qn->pq", along_y, v)
    right = -np.einsum("pn,n->p", u, gxr) - np.einsum("pn,n->p", v, gyr)
    if np.linalg.cond(normal) > _WORST_CONDITION:
        return right, False
    return np.linalg.solve(normal, right), True


def _as_matrix(solution: NDArray[np.float64], shape: tuple[int, int], parameters: int) -> Matrix:
    half, cx, cy = max(shape) / 2, shape[1] / 2, shape[0] / 2
    tx, ty = solution[:2]
    a, b = solution[2:] / half if parameters == _SIMILARITY else (0.0, 0.0)
    linear = np.array([[1 + a, -b], [b, 1 + a]])
    shift = np.array([tx - a * cx + b * cy, ty - b * cx - a * cy])
    return np.column_stack([linear, shift])
