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
        self._reference: tuple[int, align.Template] | None = None
        self._above: align.Template | None = None
        self._below: align.Template | None = None

    def place(self, luminance: Image, index: int) -> Placement:
        """Place a frame by its luminance (H, W); the first one is the reference."""
        unit = 257.0 if luminance.dtype == np.uint16 else 1.0
        reduced = align.reduce_luma(luminance)
        if self._reference is None:
            self._above = self._below = align.first_template(reduced)
            self._reference = (index, self._above)
            return Placement(identity(), used=True, residual_px=0.0)
        above = index > self._reference[0]
        template = self._above if above else self._below
        assert template is not None
        placement = _place(template, reduced, unit)
        if placement.used:
            following = align.next_template(template, reduced, placement.matrix)
            if above:
                self._above = following
            else:
                self._below = following
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
