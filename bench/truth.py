"""The truth of a rendered case, in the geometry of whatever picture is to be judged."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.motion import Matrix, compose, inverse
from bench.optics import GAMMA, encode, vignette
from bench.render import COVERED, TEXTURED

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
MARGIN_PX = 48
"""Left out at each side of the reference frame: what some planes of a moving stack never saw."""


@dataclass(frozen=True, slots=True)
class View:
    """The truth as an output should show it; (H, W) or (H, W, 3).

    `image`: levels 0 to 255. `depth`: planes. `inside`: where a picture is judged.
    """

    image: Floats
    depth: Floats
    inside: Mask
    covered: Mask
    textured: Mask


@dataclass(frozen=True)
class Truth:
    """What a case's folder holds."""

    folder: Path

    @cached_property
    def case(self) -> dict[str, Any]:
        """The description written by the generator."""
        loaded: dict[str, Any] = json.loads((self.folder / "case.json").read_text("utf-8"))
        return loaded

    @property
    def name(self) -> str:
        """Of the case."""
        return str(self.case["name"])

    @property
    def planes(self) -> int:
        """Number of frames."""
        return int(self.case["planes"])

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height) of the frames."""
        width, height = self.case["size_px"]
        return int(width), int(height)

    @property
    def frames(self) -> list[Path]:
        """In order of their planes."""
        return sorted((self.folder / "frames").iterdir())

    def matrix(self, plane: int) -> Matrix:
        """From the scene's canvas to a frame."""
        return np.array(self.case["canvas_to_frame"][plane])

    @property
    def middle(self) -> Matrix:
        """From the canvas to the frame in the middle, the usual reference."""
        return self.matrix(self.planes // 2)

    def view(self, canvas_to_output: Matrix, size_px: tuple[int, int]) -> View:
        """The truth for an output of `size_px` whose geometry is known."""
        linear = _warp(self._linear, canvas_to_output, size_px, cv2.INTER_LANCZOS4)
        output_to_frame = compose(self.middle, inverse(canvas_to_output))
        shading = self._shading(output_to_frame, size_px)
        masks = _warp(self._masks, canvas_to_output, size_px, cv2.INTER_NEAREST)
        return View(
            image=encode(np.maximum(linear, 0) * shading[..., None]),
            depth=_warp(self._depth, canvas_to_output, size_px, cv2.INTER_NEAREST),
            inside=_inside(output_to_frame, size_px, self.size_px),
            covered=(masks & COVERED) > 0,
            textured=(masks & TEXTURED) > 0,
        )

    def _shading(self, output_to_frame: Matrix, size_px: tuple[int, int]) -> Floats:
        shading = vignette(self.size_px, float(self.case["vignette"]))[..., 0]
        return _warp(shading, output_to_frame, size_px, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                     border=cv2.BORDER_REPLICATE)  # fmt: skip

    @cached_property
    def _linear(self) -> Floats:
        encoded = cv2.imread(str(self.folder / "sharp.png"), cv2.IMREAD_UNCHANGED)
        assert encoded is not None  # noqa: S101 - the folder is whole, or it would not exist
        return np.asarray((encoded.astype(np.float32) / 65535) ** GAMMA, np.float32)

    @cached_property
    def _depth(self) -> Floats:
        return np.asarray(
            cv2.imread(str(self.folder / "depth.tif"), cv2.IMREAD_UNCHANGED), np.float32
        )

    @cached_property
    def _masks(self) -> NDArray[np.uint8]:
        return np.asarray(
            cv2.imread(str(self.folder / "masks.png"), cv2.IMREAD_UNCHANGED), np.uint8
        )


def _warp(
    image: NDArray[Any], matrix: Matrix, size_px: tuple[int, int], flags: int,
    border: int = cv2.BORDER_CONSTANT,
) -> NDArray[Any]:  # fmt: skip
    return np.asarray(cv2.warpAffine(image, matrix, size_px, flags=flags, borderMode=border))


def _inside(output_to_frame: Matrix, size_px: tuple[int, int], frame_px: tuple[int, int]) -> Mask:
    """Output pixels that lie in the middle frame, `MARGIN_PX` away from its border."""
    field = np.zeros((frame_px[1], frame_px[0]), np.uint8)
    field[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX] = 1
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return _warp(field, output_to_frame, size_px, flags) > 0
