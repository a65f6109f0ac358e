"""The classic alignment: key points matched to one reference image, and a homography from them.

Frames far from the reference share little that is sharp with it, so each is matched to the frame
before it as well, whose key points have been brought into the reference's coordinates.

Sources: D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 60 (2004), key
points and ratio test; M. Fischler and R. Bolles, "Random sample consensus", CACM 24 (1981).
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd_stacking.types import Image

Matrix3 = NDArray[np.float64]
Floats = NDArray[np.float32]

_MAX_SIDE_PX: Final = 1024
"""Larger images are reduced for detection: cheaper, and blurred frames match better coarse."""

_KEY_POINTS: Final = 3000
_RATIO: Final = 0.7
_LEAST_MATCHES: Final = 8
_REPROJECTION_PX: Final = 3.0
_MAX_AREA_CHANGE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """A homography from frame to reference pixels, and its inliers' RMS distance."""

    matrix: Matrix3
    residual_px: float


@dataclass(frozen=True, slots=True)
class _KeyPoints:
    """Places (N, 2) in pixels and SIFT descriptors (N, 128) of one image."""

    places: Floats
    descriptors: Floats

    def __len__(self) -> int:
        return len(self.places)

    def moved(self, matrix: Matrix3) -> "_KeyPoints":
        if not len(self):
            return self
        return _KeyPoints(_moved(self.places, matrix), self.descriptors)


class HomographyFinder:
    """Finds the homography from each frame to the reference, which it describes once.

    Frames should come outward from the reference, each next to the one before.
    """

    def __init__(self, reference: Image) -> None:
        self._scale = min(1.0, _MAX_SIDE_PX / max(reference.shape[:2]))
        self._detector = cv2.SIFT.create(nfeatures=_KEY_POINTS)
        self._reference = self._describe(reference)
        self._last: _KeyPoints | None = None

    def find(self, frame: Image) -> Found | str:
        """The homography, or in words why there is none. `frame` is (H, W) grey."""
        own = self._describe(frame)
        if min(len(own), len(self._reference)) < _LEAST_MATCHES:
            return f"only {len(own)} key points found, {_LEAST_MATCHES} are needed"
        known = [self._reference] if self._last is None else [self._reference, self._last]
        pairs = [_matches(own, points) for points in known]
        there, here = (np.concatenate(part) for part in zip(*pairs, strict=True))
        if len(here) < _LEAST_MATCHES:
            return f"only {len(here)} key points match the reference, {_LEAST_MATCHES} are needed"
        found = _fit(there, here, frame.shape)
        if isinstance(found, Found):
            self._last = own.moved(found.matrix)
        return found

    def _describe(self, image: Image) -> _KeyPoints:
        grey = _eight_bits(image)
        if self._scale < 1:
            factor = self._scale
            reduced = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            grey = np.asarray(reduced, np.uint8)
        key_points, descriptors = self._detector.detectAndCompute(grey, None)
        if not key_points:
            return _KeyPoints(np.empty((0, 2), np.float32), np.empty((0, 128), np.float32))
        points = np.asarray(cv2.KeyPoint.convert(key_points), np.float32)
        # The same physical point lies half a pixel off the scaled grid: (x + ½) / s - ½.
        places = (points + np.float32(0.5)) / np.float32(self._scale) - np.float32(0.5)
        return _KeyPoints(places, np.asarray(descriptors, np.float32))


def _matches(own: _KeyPoints, known: _KeyPoints) -> tuple[Floats, Floats]:
    """Places of the same points in the frame and in what is known; by Lowe's ratio test."""
    pairs = cv2.BFMatcher().knnMatch(own.descriptors, known.descriptors, k=2)
    clear = [best for best, second in pairs if best.distance < _RATIO * second.distance]
    return (
        own.places[[match.queryIdx for match in clear]],
        known.places[[match.trainIdx for match in clear]],
    )


def _moved(places: Floats, matrix: Matrix3) -> Floats:
    moved = cv2.perspectiveTransform(places.reshape(-1, 1, 2), matrix)
    return np.asarray(moved, np.float32).reshape(-1, 2)


def _fit(own: Floats, reference: Floats, shape: tuple[int, ...]) -> Found | str:
    outcome: tuple[Any, Any] = cv2.findHomography(own, reference, cv2.RANSAC, _REPROJECTION_PX)
    matrix, inliers = outcome
    agreeing = 0 if matrix is None else int(np.count_nonzero(inliers))
    if agreeing < _LEAST_MATCHES:
        return f"only {agreeing} matches agree, {_LEAST_MATCHES} are needed"
    kept = np.asarray(inliers).ravel() > 0
    homography = np.asarray(matrix, np.float64)
    if not _is_plausible(homography, shape):
        return "the matches ask for a distortion that no change of focus makes"
    off = _moved(own[kept], homography) - reference[kept]
    residual = float(np.sqrt(np.mean(np.sum(off**2, axis=1))))
    return Found(homography, residual)


def _is_plausible(matrix: Matrix3, shape: tuple[int, ...]) -> bool:
    """Whether the frame's outline stays convex, upright and about as large as it was."""
    height, width = shape[:2]
    outline = np.asarray([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = _moved(outline, matrix)
    change = cv2.contourArea(moved, oriented=True) / (width * height)
    return cv2.isContourConvex(moved) and 1 / _MAX_AREA_CHANGE < change < _MAX_AREA_CHANGE


def affine_part(matrix: Matrix3, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The 2x3 affine map that equals a homography, and its slope, at the image's centre."""
    height, width = shape[:2]
    centre = np.asarray([(width - 1) / 2, (height - 1) / 2, 1.0])
    u, v, w = matrix @ centre
    moved = np.asarray([u, v]) / w
    slope = (matrix[:2, :2] - np.outer(moved, matrix[2, :2])) / w
    return np.column_stack([slope, moved - slope @ centre[:2]])


def _eight_bits(image: Image) -> NDArray[np.uint8]:
    """Grey at 8 bits for the detector; a dark 16-bit image is stretched to its own range."""
    if image.dtype == np.uint8:
        return np.asarray(image, np.uint8)
    return np.asarray(
        cv2.normalize(image, np.empty(image.shape, np.uint8), 0, 255, cv2.NORM_MINMAX, cv2.CV_8U),
        np.uint8,
    )
