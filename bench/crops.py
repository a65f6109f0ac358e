"""A picture of details side by side: the truth, one frame, and what each tool made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.motion import Matrix, compose, inverse
from bench.quality import read_levels
from bench.register import Registered, luminance, registered
from bench.truth import Truth

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
_CROP_PX = 240
_HEAD_PX = 30
_CANDIDATE_STEP_PX = 80


@dataclass(frozen=True, slots=True)
class Fused:
    """A tool's picture of a case."""

    tool: str
    path: Path


def sheet(truth: Truth, fused: Sequence[Fused], crops: int = 2) -> Bytes:
    """One row for each of the `crops` most telling places of a case, (H, W, 3).

    They are where any of the pictures is farthest from the truth.
    """
    found = [registered(read_levels(one.path), truth) for one in fused]
    first = found[0]
    size = (first.image.shape[1], first.image.shape[0])
    errors = [cv2.warpAffine(_error(one), _between(one, first), size) for one in found]
    rows = []
    for corner in _telling(np.max(errors, axis=0), first.view.inside, crops):
        tiles = [_labelled(first.view.image, f"{truth.name}: truth", corner)]
        for tool, one in zip(fused, found, strict=True):
            tiles.append(_labelled(one.image, tool.tool, _moved(corner, _between(first, one))))
        rows.append(np.hstack(tiles))
    return np.asarray(np.vstack(rows), np.uint8)


def _error(one: Registered) -> Floats:
    error = np.abs(luminance(one.image) - luminance(one.view.image))
    return np.where(one.view.inside, error, np.float32(0))


def _between(a: Registered, b: Registered) -> Matrix:
    """The matrix from one picture to another."""
    return compose(b.canvas_to_output, inverse(a.canvas_to_output))


def _moved(corner: tuple[int, int], matrix: Matrix) -> tuple[int, int]:
    """Where the crop at `corner` (y, x) lies in another picture, to the next whole pixel."""
    centre = np.array([corner[1] + _CROP_PX / 2, corner[0] + _CROP_PX / 2, 1])
    x, y = np.rint(matrix @ centre - _CROP_PX / 2).astype(int)
    return max(int(y), 0), max(int(x), 0)


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


def _labelled(image: Floats, name: str, corner: tuple[int, int]) -> Bytes:
    y, x = corner
    crop = image[y : y + _CROP_PX, x : x + _CROP_PX]
    tile = np.full((_CROP_PX + _HEAD_PX, _CROP_PX + 4, 3), 255, np.uint8)
    shown = tile[_HEAD_PX : _HEAD_PX + crop.shape[0], 2 : 2 + crop.shape[1]]
    shown[:] = np.rint(np.clip(crop, 0, 255))
    cv2.putText(tile, name, (4, 21), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    return tile
