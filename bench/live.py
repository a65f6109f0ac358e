"""Hands frames to a stacker as a camera would, and prints what each step took, as JSON."""

import json
import statistics
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from zstackd_stacking import Stacker, stacking_order


def main(paths: list[Path]) -> None:
    """`paths`: the frames in order of their planes."""
    stacker = Stacker()
    spent = []
    for index in stacking_order(len(paths), "middle"):
        image = np.asarray(cv2.imread(str(paths[index])), np.uint8)
        started = time.perf_counter()
        stacker.add(image, index=index)
        spent.append(time.perf_counter() - started)
    started = time.perf_counter()
    stacker.result()
    finish = time.perf_counter() - started
    started = time.perf_counter()
    stacker.preview()
    preview = time.perf_counter() - started
    print(
        json.dumps(
            {
                "frame_s": statistics.median(spent),
                "finish_s": spent[-1] + finish,
                "preview_s": preview,
            }
        )
    )


if __name__ == "__main__":
    main([Path(word) for word in sys.argv[1:]])
