"""Fuse frames as running sums: constant memory in the number of frames.

Each band of the Laplacian pyramid keeps the sum of weights and of weighted coefficients, one
weight for all channels. Weights grow with focus evidence, so flat places average over all planes
and detail comes from its sharpest ones. Source: T. Mertens et al., "Exposure fusion" (2007), for
blending in the pyramid; the weights are those of `zstackd_stacking.fusion.focus`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import cv2
import numpy as np

from zstackd_stacking.fusion.focus import Evidence, weights
from zstackd_stacking.fusion.own_planes import OwnPlanes, own_focus
from zstackd_stacking.geometry import Matrix
from zstackd_stacking.limits import at_least
from zstackd_stacking.planes import Planes, finely_coloured, strips, widened
from zstackd_stacking.pyramid import band, doubled_rows, level_count, reduced
from zstackd_stacking.types import FloatMap, Image, as_floats
from zstackd_stacking.workers import called, mapped

MOST_RESTORED: Final = 1.6
TINY: Final = 1e-30
_LEAST_OWNED_PX: Final = 128


@dataclass(slots=True)
class Sums:
    """Running sums of one stack; lists are by band, finest first, the low-pass rest last.

    `colours`: of each colour difference, from half size on; `fine_colours`: their finest bands,
    where the reference has detail there. The weights of the finest band are kept at half size.
    `squares` sums squared weights, `damped` weight times amplitude, `strongest` is the greatest
    amplitude: the last two tell together how much the blend has lost. The three are of the finest
    bands, or of none where memory is low: then no band is restored, nor noise taken off it.
    """

    luma: list[FloatMap] = field(default_factory=list)
    colours: list[list[FloatMap]] = field(default_factory=list)
    fine_colours: list[FloatMap] = field(default_factory=list)
    weights: list[FloatMap] = field(default_factory=list)
    squares: list[FloatMap] = field(default_factory=list)
    damped: list[FloatMap] = field(default_factory=list)
    strongest: list[FloatMap] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the image."""
        height, width = self.luma[0].shape
        return height, width


class PyramidFusion:
    """Softly weighted Laplacian pyramids."""

    def __init__(self) -> None:
        self.sums = Sums()
        self.own = OwnPlanes()
        self._finely: bool | None = None

    def planes(
        self, image: Image, luminance: Image, matrix: Matrix | None, *, gain: float, unit: float
    ) -> Planes:
        """A frame as it is added, see `Planes`; the first one tells whether colour is fine."""
        if self._finely is None:
            first = Planes(image, luminance, matrix, finely=True, unit=unit)
            self._finely = finely_coloured(first)
        return Planes(image, luminance, matrix, gain=gain, finely=self._finely, unit=unit)

    def add(
        self, planes: Planes, found: Evidence, coverage: FloatMap | None, *, index: int
    ) -> None:
        """Add one of `planes` with its evidence, on the reference's grid; uses both up.

        `coverage` (half size, 0 to 1) tells where the frame has pixels, None everywhere.
        """
        focus = own_focus(found.log_focus, coverage) if _owned(found, planes) else None
        parts = weights(found, coverage, levels=level_count(*planes.shape))
        if not self.sums.weights:
            self.sums = _started(planes, found, parts)
        frame = _Frame(planes, parts, self.sums)
        below = frame.add_colours()
        called(
            [
                partial(_add_evidence, self.sums, found, parts),
                *(
                    partial(_add_bands, totals[1:], part, parts[2:])
                    for totals, part in zip(self.sums.colours, below, strict=True)
                ),
                *(partial(frame.add_luma, *strip) for strip in strips(planes.shape)),
            ]
        )
        del parts, below
        frame.add_coarser()
        if focus is not None:
            self.own.add(focus, frame.half, index)


def _owned(found: Evidence, planes: Planes) -> bool:
    """Whether places are looked at in their own planes: not where memory or image are small."""
    return bool(found.amplitudes) and min(planes.shape) >= _LEAST_OWNED_PX


class _Frame:
    """One frame on its way into the sums: the finest bands in strips, then the coarser ones.

    `half` is its luminance at half size, once all strips are added.
    """

    def __init__(self, planes: Planes, parts: Sequence[FloatMap], sums: Sums) -> None:
        self._planes, self._weights, self._sums = planes, parts, sums
        self.half = np.empty_like(parts[1])

    def add_colours(self) -> list[FloatMap]:
        """Add the colour differences at half size; what is coarser in them is returned.

        They are let go then.
        """
        below = [np.empty_like(self._weights[2]) for _ in self._sums.colours]
        if below:
            height, width = self._weights[1].shape
            mapped(lambda strip: self._colour_rows(below, *strip), strips((height, width)))
            self._planes.let_half_go()
        return below

    def add_luma(self, top: int, bottom: int) -> None:
        """Add rows of the finest band of luminance, and of colour where that is fine, too."""
        height, width = self._planes.shape
        first, last = widened(top, bottom, height)
        own = slice(top - first, bottom - first)
        weight = doubled_rows(self._weights[0], top, bottom, width)
        rows = self._planes.luma_rows(first, last)
        part = _split(rows, self.half, own, top)
        cv2.accumulateProduct(part, weight, self._sums.luma[0][top:bottom])
        if self._sums.fine_colours:
            fine = self._planes.colour_rows(first, last)
            for total, rows in zip(self._sums.fine_colours, fine, strict=True):
                part = band(rows, reduced(rows))[own]
                cv2.accumulateProduct(part, weight, total[top:bottom])

    def _colour_rows(self, below: Sequence[FloatMap], top: int, bottom: int) -> None:
        first, last = widened(top, bottom, len(self._weights[1]))
        own = slice(top - first, bottom - first)
        weight = self._weights[1][top:bottom]
        for number, rows in enumerate(self._planes.half_colour_rows(first, last)):
            part = _split(rows, below[number], own, top)
            cv2.accumulateProduct(part, weight, self._sums.colours[number][0][top:bottom])

    def add_coarser(self) -> None:
        """Add what the strips have left of luminance for the bands below theirs; the last step."""
        self._planes.let_go()
        shares, self._weights = self._weights[1:], ()
        _add_bands(self._sums.luma[1:], self.half, shares)


def blend(total: FloatMap, weight: FloatMap) -> FloatMap:
    """The weighted mean of a band whose sums are on one grid."""
    mean = at_least(weight, TINY)
    return as_floats(cv2.divide(total, mean, dst=mean))


def _started(planes: Planes, found: Evidence, parts: Sequence[FloatMap]) -> Sums:
    whole = np.zeros(planes.shape, np.float32)
    coloured = (0, 1) if planes.coloured else ()
    fine = coloured if planes.finely else ()
    return Sums(
        luma=[whole, *_zeros(parts[1:])],
        colours=[_zeros(parts[1:]) for _ in coloured],
        fine_colours=[np.zeros_like(whole) for _ in fine],
        weights=_zeros(parts),
        squares=_zeros(found.amplitudes),
        damped=_zeros(found.amplitudes),
        strongest=_zeros(found.amplitudes),
    )


def _zeros(parts: Sequence[FloatMap]) -> list[FloatMap]:
    return [np.zeros_like(part) for part in parts]


def _split(rows: FloatMap, below: FloatMap, own: slice, top: int) -> FloatMap:
    """The band of a strip's `own` rows; what is coarser goes into `below`, from `top` on."""
    coarse = reduced(rows)
    count = (own.stop - own.start + 1) // 2
    below[top // 2 : top // 2 + count] = coarse[own.start // 2 :][:count]
    return band(rows, coarse)[own]


def _add_bands(totals: Sequence[FloatMap], image: FloatMap, shares: Sequence[FloatMap]) -> None:
    """Add the bands of an image and the low-pass rest, weighted, to their totals."""
    rest = image
    for total, weight in zip(totals[:-1], shares[:-1], strict=True):
        fine, rest = rest, reduced(rest)
        cv2.accumulateProduct(band(fine, rest), weight, total)
    cv2.accumulateProduct(rest, shares[-1], totals[-1])


def _add_evidence(sums: Sums, found: Evidence, parts: Sequence[FloatMap]) -> None:
    for total, weight in zip(sums.weights, parts, strict=True):
        cv2.accumulate(weight, total)
    for level, amplitude in enumerate(found.amplitudes):
        cv2.accumulateSquare(parts[level], sums.squares[level])
        cv2.accumulateProduct(parts[level], amplitude, sums.damped[level])
        strongest = sums.strongest[level]
        cv2.max(strongest, amplitude, dst=strongest)
