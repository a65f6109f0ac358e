"""Heights where none were measured."""

from typing import Final

import cv2
import numpy as np

from zstackd_stacking.types import FloatMap

_LEAST_SIDE: Final = 2


def fill(values: FloatMap, sure: FloatMap) -> FloatMap:
    """Replace what is unsure by a smooth continuation of what is sure (push-pull).

    Where nothing is sure, it becomes the mean of all: 0 may lie far from every plane.
    """
    total = float(np.sum(sure))
    if total <= 0:
        return np.full_like(values, np.mean(values))
    if min(values.shape) <= _LEAST_SIDE:
        mean = float(np.sum(values * sure)) / total
        return np.asarray(sure * values + (1 - sure) * mean, np.float32)
    weight = cv2.pyrDown(sure)
    coarse = cv2.pyrDown(values * sure) / np.maximum(weight, 1e-6)
    filled = fill(coarse.astype(np.float32), np.minimum(weight * 2, 1).astype(np.float32))
    up = cv2.pyrUp(filled, dstsize=(values.shape[1], values.shape[0]))
    return np.asarray(sure * values + (1 - sure) * up, np.float32)
