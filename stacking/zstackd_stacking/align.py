"""Register a frame to another one that has been registered: coarse to fine, on reduced images.

The images are band-passed and divided by their local contrast, so that a faint texture has as
much say as a bright object, and a part that loses contrast out of focus still tells where it is.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from zstackd_stacking.blocks import BLOCK_PX, SIMILARITY, TRANSLATION, Solution, solve, warp
from zstackd_stacking.geometry import (
    Matrix,
    Motion,
    compose,
    corner_motion_px,
    from_motion,
    identity,
    motion_between,
    rescale,
    scale_and_rotation,
    shifted,
)
from zstackd_stacking.types import FloatMap, Image, as_floats, as_image

FINEST_SIDE_PX: Final = 640
COARSEST_SIDE_PX: Final = 80
MIN_CORRELATION: Final = 0.35
MAX_SCALE_STEP: Final = 0.06
MAX_ROTATION_STEP_RAD: Final = 0.06
MAX_MOTION_OF_SIDE: Final = 0.2
_ITERATIONS: Final = 6
_CONVERGED_PX: Final = 0.01
_NEAR_ENOUGH_PX: Final = 0.1
_FAINT_LEVELS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Reduced:
    """A frame at reduced sizes, finest first, its contrast evened out; float32.

    `factors` are the reductions, `contrast` the rms detail of the finest size in 8-bit levels.
    """

    factors: tuple[int, ...]
    levels: tuple[FloatMap, ...]
    contrast: float

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the frame, up to the reduction's rounding."""
        height, width = self.levels[0].shape
        return height * self.factors[0], width * self.factors[0]


@dataclass(frozen=True, slots=True)
class Registration:
    """Where a frame lies; `spread` is the standard deviation of its motion's components, px."""

    matrix: Matrix
    spread: Motion
    correlation: float
    residual_px: float


@dataclass(frozen=True, slots=True)
class Template:
    """A frame already registered: its reduced images in reference coordinates."""

    reduced: Reduced
    masks: tuple[FloatMap, ...]
    matrix: Matrix


def reduce_luma(luminance: Image) -> Reduced:
    """Reduced copies of a frame's luminance (H, W)."""
    unit = 257.0 if luminance.dtype == np.uint16 else 1.0
    image, factor = luminance, 1
    while max(image.shape) > FINEST_SIDE_PX:
        image, factor = as_image(cv2.pyrDown(image)), factor * 2
    sizes, factors = [as_floats(image) / np.float32(unit)], [factor]
    while max(sizes[-1].shape) > COARSEST_SIDE_PX and min(sizes[-1].shape) >= 2 * BLOCK_PX:
        sizes.append(as_floats(cv2.pyrDown(sizes[-1])))
        factors.append(factors[-1] * 2)
    details = [_detail(size) for size in sizes]
    contrast = float(np.std(details[0]))
    return Reduced(tuple(factors), tuple(_evened(detail) for detail in details), contrast)


def first_template(reduced: Reduced) -> Template:
    """The reference frame as a template."""
    return Template(reduced, tuple(np.ones_like(level) for level in reduced.levels), identity())


def template_at(reduced: Reduced, matrix: Matrix) -> Template:
    """A frame that was registered to `matrix`, as a template for its neighbour."""
    levels, masks = [], []
    for factor, level in zip(reduced.factors, reduced.levels, strict=True):
        scaled = rescale(matrix, 1 / factor)
        levels.append(warp(level, scaled))
        masks.append(warp(np.ones_like(level), scaled))
    moved = Reduced(reduced.factors, tuple(levels), reduced.contrast)
    return Template(moved, tuple(masks), matrix)


def register(template: Template, reduced: Reduced, predicted: Matrix) -> Registration | None:
    """Register a frame to the template, or None where the two do not belong together."""
    start = _best_start(template, reduced, predicted)
    for parameters in (SIMILARITY, TRANSLATION):
        found = _coarse_to_fine(template, reduced, start, parameters)
        if found is not None and _plausible(template, reduced, found):
            return found
    return None


def refined(template: Template, reduced: Reduced, start: Matrix) -> Registration | None:
    """Register a frame that already lies nearly right, at the finest size alone."""
    return _scored(template, reduced, start, _refine(template, reduced, start, 0, SIMILARITY))


def correlation(template: Template, reduced: Reduced, matrix: Matrix, *, level: int = 1) -> float:
    """Correlation of the two images where both are known, -1 to 1."""
    level = min(level, len(reduced.levels) - 1)
    scaled = rescale(matrix, 1 / reduced.factors[level])
    moved = warp(reduced.levels[level], scaled)
    mask = template.masks[level] * warp(np.ones_like(moved), scaled)
    first = template.reduced.levels[level]
    masked = first * mask
    power = float(np.sum(masked * first)) * float(np.sum(moved * moved * mask))
    return float(np.sum(masked * moved) / np.sqrt(max(power, 1e-12)))


def _detail(size: FloatMap) -> FloatMap:
    fine = cv2.GaussianBlur(size, (3, 3), 0)
    coarse = cv2.blur(cv2.blur(size, (13, 13)), (13, 13))
    return as_floats(cv2.subtract(fine, coarse))


def _evened(detail: FloatMap) -> FloatMap:
    power = cv2.blur(cv2.blur(cv2.multiply(detail, detail), (13, 13)), (13, 13))
    return as_floats(cv2.divide(detail, np.sqrt(power) + np.float32(_FAINT_LEVELS)))


def _best_start(template: Template, reduced: Reduced, predicted: Matrix) -> Matrix:
    level = len(reduced.levels) - 1
    candidates = [predicted, template.matrix, _phase_shift(template, reduced, predicted, level)]
    scores = [correlation(template, reduced, matrix, level=level) for matrix in candidates]
    return candidates[int(np.argmax(scores))]


def _phase_shift(template: Template, reduced: Reduced, matrix: Matrix, level: int) -> Matrix:
    factor = reduced.factors[level]
    moved = warp(reduced.levels[level], rescale(matrix, 1 / factor))
    window = cv2.createHanningWindow((moved.shape[1], moved.shape[0]), cv2.CV_32F)
    (dx, dy), _ = cv2.phaseCorrelate(moved, template.reduced.levels[level], window)
    return shifted(matrix, dx * factor, dy * factor)


def _coarse_to_fine(
    template: Template, reduced: Reduced, start: Matrix, parameters: int
) -> Registration | None:
    matrix, found = start, None
    for level in reversed(range(len(reduced.levels))):
        found = _refine(template, reduced, matrix, level, parameters)
        if found is None:
            return None
        matrix = found[0]
    return _scored(template, reduced, start, found)


def _scored(
    template: Template, reduced: Reduced, start: Matrix, found: tuple[Matrix, Solution] | None
) -> Registration | None:
    if found is None:
        return None
    matrix, solution = found
    score = correlation(template, reduced, matrix)
    if score < max(MIN_CORRELATION, correlation(template, reduced, start) - 1e-3):
        return None
    factor = reduced.factors[0]
    return Registration(matrix, solution.spread * factor, score, solution.residual_px * factor)


def _plausible(template: Template, reduced: Reduced, found: Registration) -> bool:
    height, width = reduced.shape
    motion_px = corner_motion_px(found.matrix, template.matrix, width=width, height=height)
    motion = motion_between(template.matrix, found.matrix, reduced.shape)
    scale, rotation = scale_and_rotation(from_motion(motion, reduced.shape))
    return (
        motion_px <= MAX_MOTION_OF_SIDE * max(width, height)
        and abs(scale - 1) <= MAX_SCALE_STEP
        and abs(rotation) <= MAX_ROTATION_STEP_RAD
    )


def _refine(
    template: Template, reduced: Reduced, start: Matrix, level: int, parameters: int
) -> tuple[Matrix, Solution] | None:
    """The transform of whole-frame pixels, and the last step at `level` in that level's pixels."""
    image, factor = reduced.levels[level], reduced.factors[level]
    fixed, mask = template.reduced.levels[level], template.masks[level]
    shape: tuple[int, int] = image.shape[:2]
    matrix, solution = rescale(start, 1 / factor), None
    for _ in range(_ITERATIONS):
        solution = solve(fixed, mask, image, matrix, parameters)
        if solution is None:
            return None
        moved = compose(from_motion(solution.motion, shape), matrix)
        step_px = corner_motion_px(moved, matrix, width=shape[1], height=shape[0])
        matrix = moved
        if step_px < (_NEAR_ENOUGH_PX if level else _CONVERGED_PX):
            break
    return None if solution is None else (rescale(matrix, factor), solution)
