"""Register a frame to another one on reduced images, coarse to fine where it must be.

A frame that lies nearly right where it is predicted is registered at the finest size alone.

The images are band-passed and divided by their local contrast, so that a faint texture has as
much say as a bright object, and a part that loses contrast out of focus still tells where it is.
"""

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from zstackd_stacking.alignment.blocks import (
    BLOCK_PX,
    SIMILARITY,
    TRANSLATION,
    Fixed,
    Solution,
    compared,
    correlation,
    fixed,
    solve,
    unmoved,
    warp,
)
from zstackd_stacking.alignment.defects import without_defects
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
from zstackd_stacking.types import FloatMap, Image, as_floats, as_image, level_8bit

FINEST_SIDE_PX: Final = 640
LEAST_SIDE_PX: Final = 128
"""Frames larger than this are never looked at in full size, where noise rules."""
COARSEST_SIDE_PX: Final = 80
MIN_CORRELATION: Final = 0.35
SURE_CORRELATION: Final = 0.5
MAX_SCALE_STEP: Final = 0.06
MAX_ROTATION_STEP_RAD: Final = 0.06
MAX_MOTION_OF_SIDE: Final = 0.2
_ITERATIONS: Final = 6
_CONVERGED_PX: Final = 0.05
_NEAR_ENOUGH_PX: Final = 0.1
_NEAR_START_PX: Final = 1.0
_NO_WORSE: Final = 0.02
_BETTER: Final = 0.8
_BETTER_WHERE_IT_MOVED: Final = 0.5
"""What two images lack of being alike must become less by this factor."""
_FAINT_LEVELS: Final = 1.0
_FINE_PX: Final = 1.3
"""Finer detail than this is aliased by the reduction and moves where the picture does not."""


@dataclass(slots=True)
class Reduced:
    """A frame at reduced sizes, finest first; float32 in 8-bit levels.

    `factors` are the reductions, `origin_px` is where pixel 0 of every size lies in the frame,
    `contrast` the rms detail of the finest size. What is made of the sizes is made where it is
    asked for, and kept.
    """

    factors: tuple[int, ...]
    sizes: tuple[FloatMap, ...]
    origin_px: float
    contrast: float
    _levels: dict[int, FloatMap] = field(default_factory=dict)
    _fixed: dict[int, Fixed] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the frame, up to the reduction's rounding."""
        height, width = self.sizes[0].shape
        return height * self.factors[0], width * self.factors[0]

    def level(self, index: int) -> FloatMap:
        """The detail of one size, its contrast evened out."""
        if index not in self._levels:
            self._levels[index] = _evened(_detail(self.sizes[index]))
        return self._levels[index]

    def fixed(self, index: int) -> Fixed:
        """One size as a template."""
        if index not in self._fixed:
            self._fixed[index] = fixed(self.level(index), self.sizes[index])
        return self._fixed[index]

    def small(self, matrix: Matrix, index: int) -> Matrix:
        """A transform of whole-frame pixels as one of a size's pixels."""
        moved = matrix.copy()
        moved[:, 2] += (matrix[:, :2].sum(axis=1) - 1) * self.origin_px
        return rescale(moved, 1 / self.factors[index])

    def whole(self, matrix: Matrix, index: int) -> Matrix:
        """A transform of a size's pixels as one of whole-frame pixels."""
        moved = rescale(matrix, self.factors[index])
        moved[:, 2] -= (matrix[:, :2].sum(axis=1) - 1) * self.origin_px
        return moved


@dataclass(frozen=True, slots=True)
class Registration:
    """Where a frame lies; `spread` is the standard deviation of its motion's components, px."""

    matrix: Matrix
    spread: Motion
    correlation: float
    residual_px: float


def reduce_luma(luminance: Image, unit: float | None = None) -> Reduced:
    """Reduced copies of a frame's luminance (H, W).

    `unit` is one 8-bit level in its levels, by default that of its type.
    """
    unit = unit or level_8bit(luminance.dtype)
    image, factor = without_defects(luminance, unit), 1
    while max(image.shape) > 2 * FINEST_SIDE_PX:
        image, factor = _halved(image), factor * 2
    origin_px = (factor - 1) / 2
    if max(image.shape) > FINEST_SIDE_PX or (factor == 1 and min(image.shape) > LEAST_SIDE_PX):
        image, factor = as_image(cv2.pyrDown(image)), factor * 2
    sizes, factors = [as_floats(image) / np.float32(unit)], [factor]
    while max(sizes[-1].shape) > COARSEST_SIDE_PX and min(sizes[-1].shape) >= 2 * BLOCK_PX:
        sizes.append(as_floats(cv2.pyrDown(sizes[-1])))
        factors.append(factors[-1] * 2)
    detail = _detail(sizes[0])
    contrast = float(np.sqrt(cv2.norm(detail, cv2.NORM_L2SQR) / detail.size))
    return Reduced(tuple(factors), tuple(sizes), origin_px, contrast, {0: _evened(detail)})


def register(template: Reduced, reduced: Reduced, predicted: Matrix) -> Registration | None:
    """Register a frame to another, or None where the two do not belong together.

    `predicted` and what is returned take the frame's pixels to the template's. A place far from the
    predicted one must be clearly better: planes that have no detail in common fit as well anywhere.
    """
    found = refined(template, reduced, predicted)
    if found is not None and found.correlation >= SURE_CORRELATION:
        return found
    start = _best_start(template, reduced, predicted)
    for parameters in (SIMILARITY, TRANSLATION):
        found = _coarse_to_fine(template, reduced, predicted, start, parameters)
        if found is not None and _plausible(found.matrix, reduced):
            return found
    return None


def refined(template: Reduced, reduced: Reduced, start: Matrix) -> Registration | None:
    """Register a frame that already lies nearly right, at the finest size alone.

    None where it did not lie nearly right.
    """
    found = _refine(template, reduced, start, 0, most_px=_NEAR_START_PX)
    if found is None or not _plausible(found[0], reduced):
        return None
    return _registration(reduced, *found, found[1].correlation)


def glance(template: Reduced, reduced: Reduced) -> Registration | None:
    """What pulls a frame off the template's place, by one step; None where the two do not match."""
    seen = solve(template.fixed(0), reduced.level(0), identity(), SIMILARITY)
    if seen is None or seen.correlation < SURE_CORRELATION:
        return None
    matrix = reduced.whole(from_motion(seen.motion, reduced.sizes[0].shape), 0)
    return _registration(reduced, matrix, seen, seen.correlation)


def alike(template: Reduced, reduced: Reduced, matrix: Matrix, *, level: int = 1) -> float:
    """Correlation of the two images where both are known, -1 to 1."""
    level = min(level, len(reduced.sizes) - 1)
    return correlation(template.fixed(level), reduced.level(level), reduced.small(matrix, level))


def _halved(image: Image) -> Image:
    height, width = image.shape[0] // 2, image.shape[1] // 2
    even = image[: 2 * height, : 2 * width]
    return as_image(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA))


def _detail(size: FloatMap) -> FloatMap:
    fine = cv2.GaussianBlur(size, (7, 7), _FINE_PX)
    return as_floats(cv2.subtract(fine, _wide(size)))


def _evened(detail: FloatMap) -> FloatMap:
    strength = as_floats(cv2.sqrt(_wide(as_floats(cv2.multiply(detail, detail)))))
    return as_floats(cv2.divide(detail, strength + np.float32(_FAINT_LEVELS)))


def _wide(image: FloatMap) -> FloatMap:
    """The image smoothed over about 13 px."""
    if min(image.shape) < BLOCK_PX:
        return as_floats(cv2.blur(cv2.blur(image, (13, 13)), (13, 13)))
    small = cv2.blur(cv2.blur(cv2.pyrDown(image), (7, 7)), (7, 7))
    return as_floats(cv2.pyrUp(small, dstsize=(image.shape[1], image.shape[0])))


def _best_start(template: Reduced, reduced: Reduced, predicted: Matrix) -> Matrix:
    level = len(reduced.sizes) - 1
    candidates = [predicted, identity(), _phase_shift(template, reduced, predicted, level)]
    scores = [alike(template, reduced, matrix, level=level) for matrix in candidates]
    return candidates[int(np.argmax(scores))]


def _phase_shift(template: Reduced, reduced: Reduced, matrix: Matrix, level: int) -> Matrix:
    factor = reduced.factors[level]
    moved = warp(reduced.level(level), reduced.small(matrix, level))
    window = cv2.createHanningWindow((moved.shape[1], moved.shape[0]), cv2.CV_32F)
    # Given a window, phaseCorrelate writes to its inputs where their size suits it.
    pair = [as_floats(cv2.multiply(part, window)) for part in (moved, template.level(level))]
    (dx, dy), _ = cv2.phaseCorrelate(*pair)
    return shifted(matrix, dx * factor, dy * factor)


def _coarse_to_fine(
    template: Reduced, reduced: Reduced, predicted: Matrix, start: Matrix, parameters: int
) -> Registration | None:
    """From `start` on; None where the place is not clearly better than the predicted one."""
    matrix, found = start, None
    for level in reversed(range(len(reduced.sizes))):
        found = _refine(template, reduced, matrix, level, parameters=parameters)
        if found is None:
            return None
        matrix = found[0]
        judged = level == _judged(reduced)
        if judged and not _clearly_better(template, reduced, matrix, predicted):
            return None
    return None if found is None else _scored(template, reduced, start, found)


def _scored(
    template: Reduced, reduced: Reduced, start: Matrix, found: tuple[Matrix, Solution]
) -> Registration | None:
    matrix, solution = found
    score, before = _compared(template, reduced, matrix, start)
    if score < max(MIN_CORRELATION, before - _NO_WORSE):
        return None
    return _registration(reduced, matrix, solution, score)


def _judged(reduced: Reduced) -> int:
    """The size at which places are judged: the second finest, in which there is less noise."""
    return min(1, len(reduced.sizes) - 1)


def _compared(
    template: Reduced, reduced: Reduced, matrix: Matrix, before: Matrix
) -> tuple[float, float]:
    """See `compared`."""
    level = _judged(reduced)
    images = template.fixed(level), reduced.level(level)
    return compared(*images, reduced.small(matrix, level), reduced.small(before, level))


def _clearly_better(template: Reduced, reduced: Reduced, matrix: Matrix, predicted: Matrix) -> bool:
    """In the whole picture or, by more, where it is not held by what stays on the sensor."""
    whole, before = (alike(template, reduced, each) for each in (matrix, predicted))
    if 1 - whole < _BETTER * (1 - before):
        return True
    part, before = _compared(template, reduced, matrix, predicted)
    return 1 - part < _BETTER_WHERE_IT_MOVED * (1 - before)


def _registration(
    reduced: Reduced, matrix: Matrix, solution: Solution, score: float
) -> Registration:
    factor = reduced.factors[0]
    return Registration(matrix, solution.spread * factor, score, solution.residual_px * factor)


def _plausible(matrix: Matrix, reduced: Reduced) -> bool:
    height, width = reduced.shape
    motion_px = corner_motion_px(matrix, identity(), width=width, height=height)
    motion = motion_between(identity(), matrix, reduced.shape)
    scale, rotation = scale_and_rotation(from_motion(motion, reduced.shape))
    return (
        motion_px <= MAX_MOTION_OF_SIDE * max(width, height)
        and abs(scale - 1) <= MAX_SCALE_STEP
        and abs(rotation) <= MAX_ROTATION_STEP_RAD
    )


def _refine(
    template: Reduced,
    reduced: Reduced,
    start: Matrix,
    level: int,
    *,
    parameters: int = SIMILARITY,
    most_px: float = np.inf,
) -> tuple[Matrix, Solution] | None:
    """The transform of whole-frame pixels, and the last step at `level` in that level's pixels.

    None where it leads away from `start` by more than `most_px` of the level's pixels.
    """
    image, fixed_image = reduced.level(level), template.fixed(level)
    height, width = image.shape
    first = matrix = reduced.small(start, level)
    at_rest = unmoved(fixed_image, image)
    found = None
    for _ in range(_ITERATIONS):
        solution = solve(fixed_image, image, matrix, parameters, at_rest)
        if solution is None:
            return None
        before, matrix = matrix, compose(from_motion(solution.motion, (height, width)), matrix)
        if corner_motion_px(matrix, first, width=width, height=height) > most_px:
            return None
        found = reduced.whole(matrix, level), solution
        step_px = corner_motion_px(matrix, before, width=width, height=height)
        if step_px < (_NEAR_ENOUGH_PX if level else _CONVERGED_PX):
            break
    return found
