"""Heights where none were measured."""

from typing import Final

import cv2
import numpy as np

from zstackd_stacking.types import FloatMap

_LEAST_SIDE: Final = 2


def fill(values: FloatMap, sure: FloatMap) -> FloatMap:
    """Replace what is unsure by a smooth continuation of what is sure (push-pull)."""
    if min(values.shape) <= _LEAST_SIDE:
        total = float(np.sum(sure))
        mean = float(np.sum(values * sure)) / total if total > 0 else float(np.mean(values))
        return np.asarray(sure * values + (1 - sure) * mean, np.float32)
    weight = cv2.pyrDown(sure)
    coarse = cv2.pyrDown(values * sure) / np.maximum(weight, 1e-6)
    filled = fill(coarse.astype(np.float32), np.minimum(weight * 2, 1).astype(np.float32))
    up = cv2.pyrUp(filled, dstsize=(values.shape[1], values.shape[0]))
    return np.asarray(sure * values + (1 - sure) * up, np.float32)
