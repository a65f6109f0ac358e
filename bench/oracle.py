"""Not a competitor: each pixel taken from the planes next to its true depth.

It knows the depth, the transforms and the light of each frame, and shows what a perfect choice of
plane would leave: sensor noise, JPEG, and the veil of near objects over the ground behind them.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from bench.motion import compose, inverse
from bench.process import Cost
from bench.render import GENERATOR_VERSION
from bench.truth import Truth


@dataclass(frozen=True, slots=True)
class TrueDepth:
    """Fuses with the depth that the generator knows."""

    name: str = "true depth"
    version: str = GENERATOR_VERSION

    def fuse(self, frames: Sequence[Path], out: Path, work: Path, *, still: bool) -> Cost:
        """Mean of the two nearest planes, weighted by how near they are."""
        del work, still
        started, cpu = time.perf_counter(), time.process_time()
        truth = Truth(frames[0].parent.parent)
        depth = np.clip(truth.view(truth.middle, truth.size_px).depth, 0, truth.planes - 1)
        picture = np.zeros((*depth.shape, 3), np.float32)
        for plane, path in enumerate(frames):
            weight = np.maximum(1 - np.abs(depth - plane), 0)
            if weight.any():
                picture += weight[..., None] * self._aligned(truth, plane, path)
        cv2.imwrite(str(out), np.clip(np.rint(picture * 257), 0, 65535).astype(np.uint16))
        return Cost(time.process_time() - cpu, time.perf_counter() - started, 0.0)

    @staticmethod
    def _aligned(
        truth: Truth, plane: int, path: Path
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        frame = np.asarray(cv2.imread(str(path)), np.float32)
        gain = float(truth.case["gains"][plane])
        to_middle = compose(truth.middle, inverse(truth.matrix(plane)))
        if not truth.case["still"]:
            frame = np.asarray(
                cv2.warpAffine(frame, to_middle, truth.size_px, flags=cv2.INTER_LANCZOS4)
            )
        return np.asarray(frame * gain ** (-1 / 2.2), np.float32)
