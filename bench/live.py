"""Hands frames to a stacker as a camera would, and prints what each step took, as JSON."""

import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from zstackd.system.thrift import be_thrifty
from zstackd_stacking import Stacker, StackOptions, stacking_order

_REPEATS: Final = 5


def main(paths: list[Path]) -> None:
    """`paths`: the frames in order of their planes."""
    be_thrifty()  # with memory, as the service is
    images = [np.asarray(cv2.imread(str(path)), np.uint8) for path in paths]
    image_only = _medians(images, StackOptions(depth=False))
    with_height = _medians(images, StackOptions(depth=True))
    print(
        json.dumps(
            {
                "frame_s": image_only.frame_s,
                "finish_s": image_only.finish_s,
                "preview_s": image_only.preview_s,
                "height_frame_s": with_height.frame_s,
                "height_finish_s": with_height.finish_s,
            }
        )
    )


@dataclass(frozen=True, slots=True)
class _Timing:
    frame_s: float
    finish_s: float
    preview_s: float


def _medians(images: Sequence[NDArray[np.uint8]], options: StackOptions) -> _Timing:
    found = [_timed(images, options) for _ in range(_REPEATS)]
    return _Timing(
        *(statistics.median(values) for values in zip(*map(astuple, found), strict=True))
    )


def _timed(images: Sequence[NDArray[np.uint8]], options: StackOptions) -> _Timing:
    stacker = Stacker(options)
    spent = []
    for index in stacking_order(len(images), "middle"):
        started = time.perf_counter()
        stacker.add(images[index], index=index)
        stacker.wait()
        spent.append(time.perf_counter() - started)
    started = time.perf_counter()
    stacker.preview()
    preview_s = time.perf_counter() - started
    started = time.perf_counter()
    stacker.finish()
    finish_s = spent[-1] + time.perf_counter() - started
    return _Timing(statistics.median(spent), finish_s, preview_s)


if __name__ == "__main__":
    main([Path(word) for word in sys.argv[1:]])
