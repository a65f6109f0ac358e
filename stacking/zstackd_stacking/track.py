"""Follow frames outward from the reference: where each lies, and what to do where none can tell."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from zstackd_stacking import align
from zstackd_stacking.geometry import Matrix, identity
from zstackd_stacking.types import Image

_BLANK_SHARE: Final = 0.25
_BLANK_LEVELS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a frame lies, whether it can be used, and what there is to say about it."""

    matrix: Matrix
    used: bool
    residual_px: float | None
    note: str = ""


class Track:
    """Registers each frame to its nearest neighbour on the way out from the reference."""

    def __init__(self) -> None:
        self._reference_index: int | None = None
        self._sides: dict[bool, align.Template] = {}

    def place(self, luminance: Image, index: int) -> Placement:
        """Place a frame by its luminance (H, W); the first one is the reference."""
        unit = 257.0 if luminance.dtype == np.uint16 else 1.0
        reduced = align.reduce_luma(luminance)
        if self._reference_index is None:
            self._sides = dict.fromkeys((True, False), align.first_template(reduced))
            self._reference_index = index
            return Placement(identity(), used=True, residual_px=0.0)
        above = index > self._reference_index
        template = self._sides[above]
        placement = _place(template, reduced, unit)
        if placement.used:
            self._sides[above] = align.next_template(template, reduced, placement.matrix)
        return placement


def _place(template: align.Template, reduced: align.Reduced, unit: float) -> Placement:
    found = align.register(template, reduced)
    if found is not None:
        return Placement(found.matrix, used=True, residual_px=found.residual_px)
    predicted = align.predict(template)
    before, now = _contrast(template.reduced), _contrast(reduced)
    least = _BLANK_LEVELS * unit
    if before <= max(_BLANK_SHARE * now, least):
        return Placement(predicted, True, None, "placed by prediction: its neighbour shows nothing")
    if now <= max(_BLANK_SHARE * before, least):
        return Placement(predicted, False, None, "left out: it shows nothing to align by")
    if align.correlation(template, reduced, predicted) >= align.MIN_CORRELATION:
        return Placement(predicted, True, None, "placed by prediction: alignment found no better")
    return Placement(predicted, False, None, "left out: it does not match its neighbour")


def _contrast(reduced: align.Reduced) -> float:
    return float(np.std(reduced.levels[0]))
