"""How far a fused picture and a height map are from the truth."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.register import luminance
from bench.truth import View

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
RING_PX = (2.0, 40.0)
"""Distance from an object's outline within which its halo is looked for."""
_HALO_SIGMA_PX = 2.0
"""A halo is smooth: what varies within this length is sensor noise or lost texture."""
TEXTURE_LEVELS = 2.0
"""RMS of fine structure from which ground counts as textured: twice the noise of a frame."""
_TEXTURE_SIGMA_PX = 3.0
_SURE = 0.5
_PEAK = 255.0
_CHROMA_BLOCK_PX = 8
_FLAT_INSET_PX = 12
_MIN_PIXELS = 2000


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one picture. `ring` and `flat` are in levels; None where the case has no such place.

    `ring`: RMS of the smooth part of the error in the ring around objects. `chroma`: mean error
    of Cb and Cr of blocks. `flat`: standard deviation of the error in bare places.
    """

    psnr_db: float
    ssim: float
    ring: float | None
    chroma: float
    flat: float | None


@dataclass(frozen=True, slots=True)
class DepthScores:
    """In planes; `median` is of the absolute error, on textured ground clear of objects.

    `sure_rmse` is of all heights that the tool calls sure, objects and bare places included;
    `sure` is their share of the field.
    """

    median: float
    rmse: float
    everywhere_rmse: float
    sure_rmse: float
    sure: float


def scores(image: Floats, view: View) -> Scores:
    """Judge a registered picture, (H, W, 3) in levels, against the truth."""
    ours, theirs = luminance(image), luminance(view.image)
    ring = ring_mask(view)
    flat = flat_mask(view)
    return Scores(
        psnr_db=psnr_db(image[view.inside], view.image[view.inside]),
        ssim=float(ssim_map(ours, theirs)[view.inside].mean()),
        ring=halo(ours - theirs, ring) if np.count_nonzero(ring) > _MIN_PIXELS else None,
        chroma=chroma_error(image, view),
        flat=noise(ours - theirs, flat) if np.count_nonzero(flat) > _MIN_PIXELS else None,
    )


def rms(values: Floats) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def psnr_db(a: Floats, b: Floats) -> float:
    """Peak signal (255) to noise ratio over all values."""
    return float(20 * np.log10(_PEAK / max(rms(a - b), 1e-9)))


def ssim_map(a: Floats, b: Floats) -> Floats:
    """Structural similarity at each pixel, (H, W); Wang et al. 2004, Gaussian window of 1.5 px."""
    mean_a, mean_b = _window(a), _window(b)
    var_a = _window(a * a) - mean_a**2
    var_b = _window(b * b) - mean_b**2
    covariance = _window(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2
    light = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return np.asarray(light * (2 * covariance + c2) / (var_a + var_b + c2), np.float32)


def _window(image: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(image, (11, 11), 1.5), np.float32)


def distance_to_objects_px(view: View) -> Floats:
    """From each pixel of the ground to the nearest object; 0 on objects."""
    ground = np.where(view.covered, 0, 255).astype(np.uint8)
    if view.covered.any():
        return np.asarray(cv2.distanceTransform(ground, cv2.DIST_L2, 5), np.float32)
    return np.full(ground.shape, np.inf, np.float32)


def ring_mask(view: View) -> Mask:
    """Ground around objects, where halos lie."""
    distance = distance_to_objects_px(view)
    return (distance > RING_PX[0]) & (distance <= RING_PX[1]) & view.inside


def halo(error: Floats, ring: Mask) -> float:
    """RMS of an error in the ring once noise is averaged out, over the ring's own pixels only."""
    inside = ring.astype(np.float32)
    weight = cv2.GaussianBlur(inside, (0, 0), _HALO_SIGMA_PX)
    smooth = cv2.GaussianBlur(error * inside, (0, 0), _HALO_SIGMA_PX)
    return rms(np.asarray(smooth[ring] / weight[ring], np.float32))


def flat_mask(view: View) -> Mask:
    """Bare places, well inside."""
    size = 2 * _FLAT_INSET_PX + 1
    bare = (~view.textured & ~view.covered).astype(np.uint8)
    return (cv2.erode(bare, np.ones((size, size), np.uint8)) > 0) & view.inside


def noise(error: Floats, mask: Mask) -> float:
    """Standard deviation of the fine part of an error."""
    fine = error - cv2.GaussianBlur(error, (0, 0), 4.0)
    return float(fine[mask].std())


def chroma_error(image: Floats, view: View) -> float:
    """Mean absolute error of Cb and Cr, in levels, of blocks of 8 px (finer is the JPEG's)."""
    a, b = (_chroma_blocks(picture) for picture in (image, view.image))
    height, width = a.shape[:2]
    inside = cv2.resize(
        view.inside.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA
    )
    return float(np.abs(a - b)[inside > 0.999].mean())


def _chroma_blocks(image: Floats) -> Floats:
    height, width = (side // _CHROMA_BLOCK_PX for side in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    grey = luminance(np.asarray(small, np.float32))
    return np.stack([0.564 * (small[..., 0] - grey), 0.713 * (small[..., 2] - grey)], axis=-1)


def textured_mask(view: View) -> Mask:
    """Where the fine structure of the truth stands well above the noise of a frame."""
    light = luminance(view.image)
    fine = light - cv2.GaussianBlur(light, (0, 0), _TEXTURE_SIGMA_PX)
    strength = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 3 * _TEXTURE_SIGMA_PX))
    return np.asarray(view.textured & (strength >= TEXTURE_LEVELS), bool)


def depth_scores(depth: Floats, confidence: Floats, view: View) -> DepthScores:
    """Judge a height map in planes, (H, W), and its confidence (0 to 1), lying as the view does."""
    clear = view.inside & textured_mask(view) & (distance_to_objects_px(view) > RING_PX[1])
    sure = view.inside & (confidence >= _SURE)
    error = np.abs(depth - view.depth)
    return DepthScores(
        median=float(np.median(error[clear])),
        rmse=rms(error[clear]),
        everywhere_rmse=rms(error[view.inside]),
        sure_rmse=rms(error[sure]) if sure.any() else float("inf"),
        sure=float(np.count_nonzero(sure) / np.count_nonzero(view.inside)),
    )
