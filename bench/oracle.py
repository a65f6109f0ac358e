"""Not a competitor: each pixel taken from the plane that comes nearest to the truth there.

It knows the truth, the transforms and the light of each frame, and shows what choosing planes
could reach at best: sensor noise, JPEG and resampling are left, and, beside near objects, the
lesser evil of their veil over the ground and of ground out of focus.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.motion import compose, inverse
from bench.optics import GAMMA
from bench.process import Cost
from bench.render import GENERATOR_VERSION
from bench.truth import Truth

Floats = NDArray[np.float32]
_WINDOW_PX = 1.5


@dataclass(frozen=True, slots=True)
class BestChoice:
    """Fuses by looking at the truth."""

    name: str = "best choice"
    version: str = GENERATOR_VERSION

    def fuse(self, frames: Sequence[Path], out: Path, work: Path, *, still: bool) -> Cost:
        """The plane of least squared error in a small window, at each pixel."""
        del work
        started, cpu = time.perf_counter(), time.process_time()
        truth = Truth(frames[0].parent.parent)
        wanted = truth.view(truth.middle, truth.size_px).image
        picture = np.zeros_like(wanted)
        least = np.full(wanted.shape[:2], np.inf, np.float32)
        for plane, path in enumerate(frames):
            frame = _aligned(truth, plane, path, still=still)
            error = np.square(frame - wanted).sum(axis=2)
            error = np.asarray(cv2.GaussianBlur(error, (0, 0), _WINDOW_PX), np.float32)
            better = error < least
            picture[better], least[better] = frame[better], error[better]
        cv2.imwrite(str(out), np.clip(np.rint(picture * 257), 0, 65535).astype(np.uint16))
        return Cost(time.process_time() - cpu, time.perf_counter() - started, 0.0)


def _aligned(truth: Truth, plane: int, path: Path, *, still: bool) -> Floats:
    """A frame in the geometry and the light of the middle one."""
    frame = np.asarray(cv2.imread(str(path)), np.float32)
    if not still:
        to_middle = compose(truth.middle, inverse(truth.matrix(plane)))
        warped = cv2.warpAffine(frame, to_middle, truth.size_px, flags=cv2.INTER_LANCZOS4)
        frame = np.asarray(warped, np.float32)
    gain = float(truth.case["gains"][plane])
    return np.asarray(frame * gain ** (-1 / GAMMA), np.float32)
