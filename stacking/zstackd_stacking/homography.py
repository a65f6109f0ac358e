"""The classic alignment: key points matched to one reference image, and a homography from them.

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


class HomographyFinder:
    """Finds the homography from each frame to the reference, which it describes once."""

    def __init__(self, reference: Image) -> None:
        self._scale = min(1.0, _MAX_SIDE_PX / max(reference.shape[:2]))
        self._detector = cv2.SIFT.create(nfeatures=_KEY_POINTS)
        self._points, self._descriptors = self._describe(reference)

    def find(self, frame: Image) -> Found | str:
        """The homography, or in words why there is none. `frame` is (H, W) grey."""
        points, descriptors = self._describe(frame)
        if min(len(points), len(self._points)) < _LEAST_MATCHES:
            return f"only {len(points)} key points found, {_LEAST_MATCHES} are needed"
        pairs = cv2.BFMatcher().knnMatch(descriptors, self._descriptors, k=2)
        clear = [best for best, second in pairs if best.distance < _RATIO * second.distance]
        if len(clear) < _LEAST_MATCHES:
            return f"only {len(clear)} key points match the reference, {_LEAST_MATCHES} are needed"
        own = points[[match.queryIdx for match in clear]]
        reference = self._points[[match.trainIdx for match in clear]]
        return _fit(own, reference, frame.shape)

    def _describe(self, image: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        grey = _eight_bits(image)
        if self._scale < 1:
            factor = self._scale
            reduced = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            grey = np.asarray(reduced, np.uint8)
        key_points, descriptors = self._detector.detectAndCompute(grey, None)
        if not key_points:
            return np.empty((0, 2), np.float32), np.empty((0, 128), np.float32)
        # The same physical point lies half a pixel off the scaled grid: (x + ½) / s - ½.
        points = np.asarray(cv2.KeyPoint.convert(key_points), np.float32)
        return (points + np.float32(0.5)) / np.float32(self._scale) - np.float32(0.5), np.asarray(
            descriptors, np.float32
        )


def _fit(
    own: NDArray[np.float32], reference: NDArray[np.float32], shape: tuple[int, ...]
) -> Found | str:
    outcome: tuple[Any, Any] = cv2.findHomography(own, reference, cv2.RANSAC, _REPROJECTION_PX)
    matrix, inliers = outcome
    agreeing = 0 if matrix is None else int(np.count_nonzero(inliers))
    if agreeing < _LEAST_MATCHES:
        return f"only {agreeing} matches agree, {_LEAST_MATCHES} are needed"
    kept = np.asarray(inliers).ravel() > 0
    homography = np.asarray(matrix, np.float64)
    if not _is_plausible(homography, shape):
        return "the matches ask for a distortion that no change of focus makes"
    moved = cv2.perspectiveTransform(own[kept].reshape(-1, 1, 2), homography).reshape(-1, 2)
    residual = float(np.sqrt(np.mean(np.sum((moved - reference[kept]) ** 2, axis=1))))
    return Found(homography, residual)


def _is_plausible(matrix: Matrix3, shape: tuple[int, ...]) -> bool:
    """Whether the frame's outline stays convex, upright and about as large as it was."""
    height, width = shape[:2]
    outline = np.asarray([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = cv2.perspectiveTransform(outline.reshape(-1, 1, 2), matrix).astype(np.float32)
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
