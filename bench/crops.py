"""A picture of details side by side: the truth, one frame, and what each tool made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.metrics import distance_to_objects_px
from bench.quality import read_levels
from bench.register import luminance, registered
from bench.truth import Truth

Floats = NDArray[np.float32]
_CROP_PX = 240
_HEAD_PX = 30
_CANDIDATE_STEP_PX = 80


@dataclass(frozen=True, slots=True)
class Fused:
    """A tool's picture of a case."""

    tool: str
    path: Path


def sheet(truth: Truth, fused: Sequence[Fused], crops: int = 2) -> Floats:
    """One row for each of the `crops` most telling places of a case, (H, W, 3) in levels.

    They are where the pictures differ most from each other and from the truth.
    """
    found = [(one.tool, registered(read_levels(one.path), truth)) for one in fused]
    columns: list[tuple[str, Floats]] = [(f"{truth.name}: truth", found[0][1].view.image)]
    errors = []
    for tool, one in found:
        to_first = one.view.image.shape == found[0][1].view.image.shape
        if to_first:
            columns.append((tool, one.image))
            errors.append(np.abs(luminance(one.image) - luminance(one.view.image)))
    places = _telling(np.max(errors, axis=0), found[0][1].view.inside, crops)
    near = distance_to_objects_px(found[0][1].view)
    rows = [
        np.hstack([_labelled(image, name, corner) for name, image in columns])
        for corner in sorted(places, key=lambda corner: float(near[corner]))
    ]
    return np.asarray(np.vstack(rows), np.float32)


def _telling(error: Floats, inside: NDArray[np.bool_], count: int) -> list[tuple[int, int]]:
    """Corners of the crops with the greatest error, clear of each other."""
    total = cv2.boxFilter(np.where(inside, error, 0), -1, (_CROP_PX, _CROP_PX), anchor=(0, 0),
                          borderType=cv2.BORDER_CONSTANT)  # fmt: skip
    height, width = error.shape
    corners = [
        (y, x)
        for y in range(48, height - _CROP_PX - 48, _CANDIDATE_STEP_PX)
        for x in range(48, width - _CROP_PX - 48, _CANDIDATE_STEP_PX)
    ]
    corners.sort(key=lambda corner: -float(total[corner]))
    chosen: list[tuple[int, int]] = []
    for y, x in corners:
        if all(max(abs(y - v), abs(x - u)) >= _CROP_PX for v, u in chosen):
            chosen.append((y, x))
        if len(chosen) == count:
            break
    return chosen


def _labelled(image: Floats, name: str, corner: tuple[int, int]) -> Floats:
    y, x = corner
    crop = image[y : y + _CROP_PX, x : x + _CROP_PX]
    tile = np.full((_CROP_PX + _HEAD_PX, _CROP_PX + 4, 3), 255, np.float32)
    tile[_HEAD_PX:, 2:-2] = np.clip(crop, 0, 255)
    cv2.putText(tile, name, (4, 21), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    return tile
