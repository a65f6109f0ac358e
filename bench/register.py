"""Registers a picture to the truth, for every tool alike: global affine, gain and offset."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.motion import Matrix, compose, inverse
from bench.truth import Truth, View

Floats = NDArray[np.float32]
_BLOCK_PX = 8
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
    first = truth.view(truth.middle, truth.size_px)
    to_output = _affine(luminance(first.image), luminance(picture))
    canvas_to_output = compose(to_output, truth.middle)
    view = truth.view(canvas_to_output, (width, height))
    return Registered(_levelled(picture, view), view, canvas_to_output)


def luminance(image: Floats) -> Floats:
    """(H, W) of a picture in blue, green, red."""
    return np.asarray(image @ np.array([0.114, 0.587, 0.299], np.float32), np.float32)


def _affine(truth: Floats, picture: Floats) -> Matrix:
    """The matrix from truth to picture: features first, then refined on the correlation."""
    guess = _from_features(_half(truth), _half(picture))
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-6)
    try:
        _, found = cv2.findTransformECC(
            _half(truth), _half(picture), guess.astype(np.float32), cv2.MOTION_AFFINE, criteria,
            np.full(_half(truth).shape, 255, np.uint8), 5,
        )  # fmt: skip
    except cv2.error:
        found = guess
    return _of_full_size(np.asarray(found, np.float64))


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
    if words_a is None or words_b is None:
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
