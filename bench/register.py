"""Registers a picture to the truth, for every tool alike: global affine, gain and offset."""

from contextlib import suppress
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.motion import Matrix, compose, inverse
from bench.truth import Truth, View

Floats = NDArray[np.float32]
_BLOCK_PX = 8
_DETAIL_PX = 3.0
_MIN_MATCHES = 12


@dataclass(frozen=True, slots=True)
class Registered:
    """A picture in the truth's levels, (H, W, 3) float32, beside the truth in its geometry."""

    image: Floats
    view: View
    canvas_to_output: Matrix


def registered(picture: Floats, truth: Truth) -> Registered:
    """Find how the picture lies against the truth, and give both in the picture's geometry.

    `picture`: (H, W, 3), levels 0 to 255. The truth is warped, never the picture, so that
    nothing is smoothed away.
    """
    height, width = picture.shape[:2]
    ours = luminance(picture)
    first = luminance(truth.view(truth.middle, truth.size_px).image)
    rough = _refined(first, ours, _from_features(_half(first), _half(ours)))
    canvas_to_output = compose(rough, truth.middle)
    # Once more where both lie on one grid: no fraction of a pixel to interpolate, no bias by it.
    near = luminance(truth.view(canvas_to_output, (width, height)).image)
    canvas_to_output = compose(_refined(near, ours, np.eye(2, 3)), canvas_to_output)
    view = truth.view(canvas_to_output, (width, height))
    return Registered(_levelled(picture, view), view, canvas_to_output)


def luminance(image: Floats) -> Floats:
    """(H, W) of a picture in blue, green, red."""
    return np.asarray(image @ np.array([0.114, 0.587, 0.299], np.float32), np.float32)


def _refined(truth: Floats, picture: Floats, guess: Matrix) -> Matrix:
    """The affine from truth to picture of greatest correlation; `guess` is of half size."""
    found = guess
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-7)
    wanted, seen = _detail(_half(truth)), _detail(_half(picture))
    everywhere = np.full(wanted.shape, 255, np.uint8)
    # Where it does not converge the features stand: a picture of nothing stays what it is.
    with suppress(cv2.error):
        _, refined = cv2.findTransformECC(
            wanted, seen, found.astype(np.float32), cv2.MOTION_AFFINE, criteria, everywhere, 5
        )
        found = np.asarray(refined, np.float64)
    return _of_full_size(found)


def _detail(image: Floats) -> Floats:
    """Fine structure at even strength, so that no halo and no bright object rules the fit."""
    fine = image - cv2.GaussianBlur(image, (0, 0), _DETAIL_PX)
    strength = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 4 * _DETAIL_PX))
    return np.asarray(fine / (strength + 1), np.float32)


def _half(image: Floats) -> Floats:
    return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def _of_full_size(matrix: Matrix) -> Matrix:
    """Of a matrix between pictures of half size, whose pixel centres lie between those of full."""
    halve = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]])
    return compose(inverse(halve), compose(matrix, halve))


def _from_features(truth: Floats, picture: Floats) -> Matrix:
    """Affine of the matching features, the identity where too few match."""
    sift = cv2.SIFT.create(1500)
    keys_a, words_a = sift.detectAndCompute(_to_bytes(truth), None)
    keys_b, words_b = sift.detectAndCompute(_to_bytes(picture), None)
    if len(keys_a) < _MIN_MATCHES or len(keys_b) < _MIN_MATCHES:
        return np.eye(2, 3)
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(words_a, words_b, k=2)
    good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < 0.7 * p[1].distance]
    if len(good) < _MIN_MATCHES:
        return np.eye(2, 3)
    a = np.array([keys_a[match.queryIdx].pt for match in good], np.float32)
    b = np.array([keys_b[match.trainIdx].pt for match in good], np.float32)
    found, _ = cv2.estimateAffine2D(a, b, ransacReprojThreshold=1.5)
    return np.asarray(found, np.float64)


def _to_bytes(image: Floats) -> NDArray[np.uint8]:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _levelled(picture: Floats, view: View) -> Floats:
    """The picture with the gain and offset, one for all channels, that bring it to the truth.

    Fitted on means of blocks, so that neither noise nor blur can pull the gain.
    """
    inside = _blocks(view.inside.astype(np.float32)) > 0.999
    ours = _blocks(luminance(picture))[inside]
    theirs = _blocks(luminance(view.image))[inside]
    gain = float(np.cov(ours, theirs)[0, 1] / np.var(ours, ddof=1))
    offset = float(theirs.mean() - gain * ours.mean())
    return np.asarray(picture * gain + offset, np.float32)


def _blocks(image: Floats) -> Floats:
    height, width = (side // _BLOCK_PX for side in image.shape[:2])
    whole = image[: height * _BLOCK_PX, : width * _BLOCK_PX]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))
