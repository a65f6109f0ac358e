"""One step of registration: image differences, summed into blocks, become a small motion.

Source: Gauss-Newton on image differences (Lucas and Kanade 1981) with gradients of the template
alone, which are taken once (Hager and Belhumeur 1998). Blocks are weighted by how well they fit,
so that a part which went behind something else has little say. A change of focus is no motion:
how much more or less each block is blurred is solved for beside it, and how far bright things in it
have grown, as their discs of defocus do: all their edges move outward, which else looks like
magnification. What fits as well where the sensor has it as where the rest
moves is dust or a reflection upon the sensor; where that pulls, only the rest is asked. The spread
of the solution is the sandwich estimate (Huber 1967), which believes the blocks' disagreement and
nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.geometry import Matrix, Motion, invert
from zstackd_stacking.ranks import quantile
from zstackd_stacking.types import FloatMap, as_floats

SIMILARITY: Final = 4
TRANSLATION: Final = 2
BLOCK_PX: Final = 16
_LEAST_BLOCK_PX: Final = 2
_LEAST_BLOCKS: Final = 8
_WORST_CONDITION: Final = 1e6
_REWEIGHTINGS: Final = 3
_LEAST_ALIKE: Final = 0.5
_TEXTURED: Final = 0.05
_EDGE_PX: Final = 0.05
_DIFFERENT_PX: Final = 0.02
_STIFF: Final = 0.02
"""Share of the mean texture that every block is given, so that one of noise does not fly off."""
_NOTHING: Final = 1e-12
_GX, _GY, _IMAGE = range(3)
_DIRECTION_PX: Final = 1.5
_FLAT_LEVELS: Final = np.float32(0.1)
_STIFF_GROWTH: Final = 1.0
"""Half of what growth could explain is put down to it: the edges of plain things do move, too."""
_LEAST_EXPLAINED: Final = 1 / 2

_Sums = NDArray[np.float64]
Misfits = NDArray[np.float64]
_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Solution:
    """A small motion of the image towards the template, and how sure it is, in pixels.

    `spread` is the standard deviation of each component, `residual_px` the blocks' rms
    disagreement. `correlation` is that of the two images before the motion, -1 to 1.
    """

    motion: Motion
    spread: Motion
    residual_px: float
    correlation: float


@dataclass(frozen=True, slots=True)
class _Fit:
    """A motion, how badly the blocks fit after it, and which of them show anything."""

    solution: Solution
    misfit: _Sums
    textured: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fixed:
    """A template (H, W) and what can be summed before any image is known.

    `parts` are its gradients, itself, what it gains where bright things grow by 1 px, and what a
    little blur adds to it, up to a factor: the last two are no motion. `sums` (parts, parts,
    blocks) are the means of their products in each block; `centres` the blocks' x and y.
    """

    parts: tuple[FloatMap, ...]
    block_px: int
    sums: _Array
    centres: _Array
    basis: _Array

    @property
    def image(self) -> FloatMap:
        """The template itself."""
        return self.parts[_IMAGE]


@dataclass(frozen=True, slots=True)
class _Equations:
    """Sums of each block: gradients and the difference that is left, (blocks,) each.

    What blur and growth explain is taken out of them. `products` are those of template and image,
    of the template, and of the image with themselves, (3, blocks).
    """

    gxx: _Sums
    gxy: _Sums
    gyy: _Sums
    gxr: _Sums
    gyr: _Sums
    rr: _Sums
    basis: _Array
    products: _Array

    @property
    def texture(self) -> _Sums:
        return self.gxx + self.gyy


def fixed(image: FloatMap, light: FloatMap) -> Fixed:
    """Prepare a template: the evened detail of `light`, both (H, W)."""
    gx, gy = _gradients(image)
    blur = as_floats(cv2.Laplacian(image, cv2.CV_32F, ksize=3))
    parts = gx, gy, image, _growth(gx, gy, light), blur
    block_px = _block_px(image.shape)
    rows, columns = _grid(image.shape, block_px)
    sums = np.empty((len(parts), len(parts), rows * columns))
    for i, j in combinations_with_replacement(range(len(parts)), 2):
        sums[i, j] = sums[j, i] = _summed(parts[i], parts[j], block_px)
    y, x = np.mgrid[:rows, :columns].reshape(2, -1) * block_px + block_px - 0.5
    return Fixed(parts, block_px, sums, np.array([x, y]), _basis(image.shape, x, y))


def _gradients(image: FloatMap) -> tuple[FloatMap, FloatMap]:
    gx, gy = (cv2.Sobel(image, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return as_floats(gx), as_floats(gy)


def _growth(gx: FloatMap, gy: FloatMap, light: FloatMap) -> FloatMap:
    """The slope of an image, per px, towards where the light is brighter; 0 where that is flat."""
    x, y = _gradients(as_floats(cv2.GaussianBlur(light, (7, 7), _DIRECTION_PX)))
    steep = cv2.magnitude(x, y) + _FLAT_LEVELS
    return as_floats(cv2.divide(cv2.add(cv2.multiply(gx, x), cv2.multiply(gy, y)), steep))


def warp(image: FloatMap, matrix: Matrix) -> FloatMap:
    """The image in the template's coordinates, 0 outside."""
    size = image.shape[1], image.shape[0]
    return as_floats(cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR))


def unmoved(template: Fixed, image: FloatMap) -> Misfits:
    """How badly each block fits where the sensor has it, (blocks,) squared pixels."""
    texture = template.sums[_GX, _GX] + template.sums[_GY, _GY]
    tt = template.sums[_IMAGE, _IMAGE]
    tw = _summed(template.image, image, template.block_px)
    ww = _summed(image, image, template.block_px)
    return _squared_px(np.maximum(tt - 2 * tw + ww, 0.0), texture)


def solve(
    template: Fixed,
    image: FloatMap,
    matrix: Matrix,
    parameters: int,
    at_rest: Misfits | None = None,
) -> Solution | None:
    """The motion that, after `matrix`, brings `image` onto `template`; None without texture.

    `at_rest` is how badly the blocks fit unmoved; it can be left out where `matrix` is identity.
    """
    inside = _inside(template, matrix)
    equations = _equations(template, image, matrix, parameters, inside)
    if equations is None or not equations.texture.max() > 0:
        return None
    even = np.ones_like(equations.rr)
    whole = _fitted(equations, equations.rr, even, lambda _: even)
    if whole is None:
        return None
    rest = _squared_px(equations.rr, equations.texture) if at_rest is None else at_rest[inside]
    least = _least(equations)
    left = _squared_px(least, equations.texture)
    if not _explains(left, rest, whole.textured):
        return whole.solution
    start = _moving(rest, left)
    part = _fitted(equations, least, start, lambda misfit: _moving(rest, misfit))
    if part is None or not _differ(part.solution, whole.solution):
        return whole.solution
    return (part if _explains(part.misfit, rest, part.textured) else whole).solution


def correlation(
    template: Fixed, image: FloatMap, matrix: Matrix, weight: _Sums | None = None
) -> float:
    """Correlation of the two where both are known, -1 to 1; 0 where they do not overlap.

    `weight` is that of each block.
    """
    inside = _inside(template, matrix)
    equations = _equations(template, image, matrix, TRANSLATION, inside)
    if equations is None:
        return 0.0
    return _alike(equations, np.ones_like(equations.rr) if weight is None else weight[inside])


def compared(
    template: Fixed, image: FloatMap, matrix: Matrix, before: Matrix
) -> tuple[float, float]:
    """Correlation by `matrix` and by `before`, of the blocks that `matrix` fits better than none.

    That is -1 to 1; 0 where the two do not overlap.
    """
    inside = _inside(template, matrix)
    share, score = np.zeros(inside.shape), 0.0
    equations = _equations(template, image, matrix, TRANSLATION, inside)
    if equations is not None:
        at_rest = unmoved(template, image)[inside]
        share[inside] = _moving(at_rest, _squared_px(equations.rr, equations.texture))
        score = _alike(equations, share[inside])
    return score, correlation(template, image, before, share)


def _block_px(shape: tuple[int, ...]) -> int:
    """So that even a small image has some blocks that lie wholly inside."""
    block_px = BLOCK_PX
    while block_px > _LEAST_BLOCK_PX and min(shape) < _LEAST_BLOCKS * block_px:
        block_px //= 2
    return block_px


def _grid(shape: tuple[int, ...], block_px: int) -> tuple[int, int]:
    """Rows and columns of blocks; half a block is left at each edge, which filters reach over."""
    return shape[0] // block_px - 1, shape[1] // block_px - 1


def _equations(
    template: Fixed,
    image: FloatMap,
    matrix: Matrix,
    parameters: int,
    inside: NDArray[np.bool_],
) -> _Equations | None:
    if not inside.any():
        return None
    warped = warp(image, matrix)
    with_image = np.array([_summed(part, warped, template.block_px) for part in template.parts])
    with_image, sums = with_image[:, inside], template.sums[:, :, inside]
    ww = _summed(warped, warped, template.block_px)[inside]
    tw, tt = with_image[_IMAGE], sums[_IMAGE, _IMAGE].copy()
    gain = float(np.clip(np.sum(tw) / max(np.sum(ww), 1e-9), 0.5, 2.0))
    # From here on row and column _IMAGE are of the difference, template less gain times image.
    sums[_IMAGE] -= gain * with_image
    sums[:, _IMAGE] = sums[_IMAGE]
    sums[_IMAGE, _IMAGE] = tt - 2 * gain * tw + gain * gain * ww
    sums = _without_last(_without_last(sums, 0.0), _STIFF_GROWTH)
    return _Equations(
        sums[_GX, _GX],
        sums[_GX, _GY],
        sums[_GY, _GY],
        gxr=sums[_GX, _IMAGE],
        gyr=sums[_GY, _IMAGE],
        rr=np.maximum(sums[_IMAGE, _IMAGE], 0.0),
        basis=template.basis[:parameters, :, inside],
        products=np.array([tw, tt, ww]),
    )


def _without_last(sums: _Array, stiff: float) -> _Array:
    """Sums (parts, parts, blocks) of all parts but the last, less what that explains of them.

    A `stiff` part explains less.
    """
    last = sums[-1]
    share = last[:-1] / ((1 + stiff) * last[-1] + 1e-9)
    return np.asarray(sums[:-1, :-1] - share[:, None] * last[:-1], np.float64)


def _inside(template: Fixed, matrix: Matrix) -> NDArray[np.bool_]:
    """Blocks that the warped image fills."""
    back = invert(matrix)
    height, width = template.image.shape
    centres = back[:, :2] @ template.centres + back[:, 2:]
    reach = np.abs(back[:, :2]).sum(axis=1, keepdims=True) * (template.block_px - 1) / 2
    last = np.array([[width - 1], [height - 1]]) + _EDGE_PX
    return np.asarray(((centres - reach > -_EDGE_PX) & (centres + reach < last)).all(axis=0))


def _summed(a: FloatMap, b: FloatMap, block_px: int) -> _Array:
    """Mean product of each block, (blocks,)."""
    rows, columns = _grid(a.shape, block_px)
    edge = block_px // 2
    inner = slice(edge, edge + rows * block_px), slice(edge, edge + columns * block_px)
    whole = cv2.multiply(a[inner], b[inner])
    means = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float64).ravel()


def _basis(shape: tuple[int, ...], x: _Array, y: _Array) -> _Array:
    """(parameters, 2, blocks): displacement of each block's centre for each parameter."""
    half = max(shape) / 2
    x, y = (x - shape[1] / 2) / half, (y - shape[0] / 2) / half
    one, zero = np.ones_like(x), np.zeros_like(x)
    return np.array([[one, zero], [zero, one], [x, y], [-y, x]])


def _fitted(
    equations: _Equations, left: _Sums, weight: _Sums, moving: Callable[[_Sums], _Sums]
) -> _Fit | None:
    """The motion that blocks agree upon, of which `left` expects least to be left.

    `weight` is the blocks' first share in it, `moving` tells the later ones by their misfits.
    """
    trust = 1.0 / (left + 0.05 * np.mean(equations.rr) + 1e-9)
    textured = equations.texture > _TEXTURED * equations.texture.max()
    weight = trust * weight
    for _ in range(_REWEIGHTINGS):
        normal, right = _normal(equations, weight)
        if not _well_posed(normal):
            return None
        motion = np.asarray(np.linalg.solve(normal, right), np.float64)
        misfit = _misfit(equations, motion)
        scale = quantile(misfit[textured], 0.5)
        share = moving(misfit)
        weight = trust * share / (1.0 + misfit / max(3 * scale, 1e-9))
    spread = _spread(equations, weight, normal, motion)
    by_texture = weight * equations.texture
    residual = float(np.sqrt(np.sum(by_texture * misfit) / np.sum(by_texture)))
    alike = _alike(equations, share)
    # Noise in the template's gradients and the gain each make the step too short by as much as
    # the images are unlike.
    short = max(alike, _LEAST_ALIKE) ** 2
    motion, spread = (
        np.pad(part / short, (0, SIMILARITY - len(part))) for part in (motion, spread)
    )
    return _Fit(Solution(motion, spread, residual, alike), misfit, textured)


def _moving(at_rest: Misfits, misfit: _Sums) -> _Sums:
    """The blocks' share in a motion that leaves them this misfit, 0 to 1; 1/4 where it is alike."""
    rest, misfit = at_rest**2 + _NOTHING, misfit**2 + _NOTHING
    return np.asarray((rest / (rest + misfit)) ** 2, np.float64)


def _differ(part: Solution, whole: Solution) -> bool:
    """Whether what moves tells another motion than all there is."""
    least = np.maximum(np.hypot(part.spread, whole.spread), _DIFFERENT_PX)
    return bool((np.abs(part.motion - whole.motion) > least).any())


def _explains(misfit: _Sums, at_rest: Misfits, textured: NDArray[np.bool_]) -> bool:
    """Whether motion explains why so much does not fit at rest; a change of blur does not."""
    before, after = at_rest[textured], misfit[textured]
    return bool(np.maximum(before - after, 0.0).sum() > _LEAST_EXPLAINED * before.sum())


def _least(equations: _Equations) -> _Sums:
    """What is left of each block's difference by its own best shift."""
    some = _STIFF * np.mean(equations.texture) + 1e-9
    gxx, gxy, gyy = equations.gxx + some, equations.gxy, equations.gyy + some
    x, y = equations.gxr, equations.gyr
    explained = (gyy * x * x - 2 * gxy * x * y + gxx * y * y) / (gxx * gyy - gxy * gxy)
    return np.asarray(np.maximum(equations.rr - explained, 0.0), np.float64)


def _alike(equations: _Equations, weight: _Sums) -> float:
    tw, tt, ww = (float(np.sum(weight * part)) for part in equations.products)
    return tw / float(np.sqrt(max(tt * ww, 1e-18)))


def _squared_px(rr: _Sums, texture: _Sums) -> _Sums:
    return np.asarray(rr / np.maximum(texture, 1e-9), np.float64)


def _normal(equations: _Equations, weight: _Sums) -> tuple[_Array, _Array]:
    u, v = equations.basis[:, 0], equations.basis[:, 1]
    along_x = (u * equations.gxx + v * equations.gxy) * weight
    along_y = (u * equations.gxy + v * equations.gyy) * weight
    pull = u * (equations.gxr * weight) + v * (equations.gyr * weight)
    return _inner(along_x, u) + _inner(along_y, v), -pull.sum(axis=1)


def _inner(a: _Array, b: _Array) -> _Array:
    """(p, q) sums over the blocks, always added in one order; matrix products are not."""
    return np.asarray(np.einsum("pn,qn->pq", a, b), np.float64)


def _well_posed(normal: _Array) -> bool:
    values = np.linalg.eigvalsh(normal)
    return bool(values[0] > 0 and values[-1] < _WORST_CONDITION * values[0])


def _misfit(equations: _Equations, motion: Motion) -> _Sums:
    """Squared disagreement of each block after `motion`, in squared pixels."""
    dx, dy = np.einsum("p,pkn->kn", motion, equations.basis)
    curve = equations.gxx * dx * dx + 2 * equations.gxy * dx * dy + equations.gyy * dy * dy
    slope = 2 * (equations.gxr * dx + equations.gyr * dy)
    return _squared_px(np.maximum(curve + slope + equations.rr, 0.0), equations.texture)


def _spread(equations: _Equations, weight: _Sums, normal: _Array, motion: Motion) -> Motion:
    dx, dy = np.einsum("p,pkn->kn", motion, equations.basis)
    pull_x = weight * (equations.gxx * dx + equations.gxy * dy + equations.gxr)
    pull_y = weight * (equations.gxy * dx + equations.gyy * dy + equations.gyr)
    scores = equations.basis[:, 0] * pull_x + equations.basis[:, 1] * pull_y
    inverse = np.linalg.inv(normal)
    return np.asarray(np.sqrt(np.diag(inverse @ _inner(scores, scores) @ inverse)), np.float64)
