"""Follow frames outward from the reference: where each lies, and what to do where none can tell.

Each frame is registered to its neighbour, which is the most like it, and then to the reference,
which does not drift. The two are joined by how sure each is, with the knowledge that most rigs
move evenly or not at all: the scheme of R. Kalman (1960) with the frame's place and pace as state.
What the rig is known to do by itself (its breathing) is expected of it, and only the rest is
learnt as its pace.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from zstackd_stacking.alignment import align
from zstackd_stacking.alignment.rest import FROM_REFERENCE_PX, Rest, sharp_enough
from zstackd_stacking.geometry import (
    Matrix,
    Motion,
    compose,
    from_motion,
    identity,
    motion_between,
)
from zstackd_stacking.types import Image

SHOWS_NOTHING: Final = "left out: it shows nothing to align by"
_BLANK_SHARE: Final = 0.25
_BLANK_LEVELS: Final = 0.2
_ANCHOR_CORRELATION: Final = 0.5
_NEIGHBOUR_BELIEF: Final = 2.0
_ANCHOR_BELIEF: Final = 1.5
"""By how much the formal spread of a registration is too small."""
_LEAST_NEIGHBOUR_PX: Final = 0.03
_LEAST_ANCHOR_PX: Final = 0.02
_CHANGE_PX: Final = np.array([0.1, 0.1, 0.015, 0.015])
_CHANGE_OF_HABIT: Final = np.array([1.0, 1.0, 0.12, 0.12])
"""How much a step may differ from the one before: so much, and so much of the usual step."""
_SURPRISE: Final = 5.0
_SCALE: Final = 2
_BUT_SCALE: Final = np.array([1.0, 1.0, 0.0, 1.0])
_DOUBT_OF_BREATHING: Final = 0.03
"""Share by which a measured breathing may be wrong. What goes out of focus looks larger, too; where
that is more than this allows, it is no motion.
"""
_UNSEEN: Final = np.full(4, (FROM_REFERENCE_PX / 2) ** 2)
"""Variance of the place of a frame that seems to rest."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a frame lies, whether it can be used, and what there is to say about it."""

    matrix: Matrix
    used: bool
    residual_px: float | None
    note: str = ""
    blank_before: bool = False
    """Whether all frames before this one show nothing beside it, the reference too."""


@dataclass(frozen=True, slots=True)
class _Side:
    """The frames on one side of the reference so far: the last one, its pace and its variance.

    `pace` is what the last step had beyond the breathing, of which none is left in the
    magnification where it `breathes` as was measured. `rest` is None from the first frame on
    that has moved.
    """

    reduced: align.Reduced
    matrix: Matrix
    pace: Motion
    variance: Motion
    habit: "_Habit"
    rest: Rest | None
    z_um: float | None = None
    breathes: bool = False

    def breathed(
        self, z_um: float | None, breathing_per_um: float, shape: tuple[int, int]
    ) -> Motion:
        """What the lens by itself does on the way to a frame at that height."""
        return np.array([0.0, 0.0, self._outward(z_um, breathing_per_um, shape), 0.0])

    def most_outward(self, z_um: float | None, most_per_um: float, shape: tuple[int, int]) -> float:
        """How far magnification can move a frame at that height at most, px."""
        if not np.isfinite(most_per_um) or z_um is None or self.z_um is None:
            return float(np.inf)
        return abs(self._outward(z_um, most_per_um, shape))

    def _outward(self, z_um: float | None, per_um: float, shape: tuple[int, int]) -> float:
        if z_um is None or self.z_um is None:
            return 0.0
        return float(np.expm1(-per_um * (z_um - self.z_um)) * max(shape) / 2)

    def going_on(self, step: Motion) -> Motion:
        """What of a step, beyond the breathing, the next one is expected to have."""
        return step * _BUT_SCALE if self.breathes else step


@dataclass(frozen=True, slots=True)
class _Habit:
    """The usual step from frame to frame; a rig that moved little is believed to go on so.

    Nothing is believed before the first step.
    """

    squares: Motion
    steps: int = 0

    def freedom(self) -> Motion:
        """Variance that the change from one step to the next is expected to have."""
        if not self.steps:
            return np.full(4, np.inf)
        usual = np.sqrt(self.squares / max(self.steps, 1))
        return np.asarray((_CHANGE_PX + _CHANGE_OF_HABIT * usual) ** 2, np.float64)

    def after(self, step: Motion) -> "_Habit":
        """With one more step."""
        return _Habit(self.squares + step**2, self.steps + 1)


class Track:
    """Places each frame by its nearest neighbour on the way out from the reference.

    A magnification that changes by more than `most_breathing_per_um` is none: discs of defocus
    grow, and what lies within them looks larger.
    """

    def __init__(
        self, *, breathing_per_um: float = 0.0, most_breathing_per_um: float = np.inf
    ) -> None:
        self._breathing_per_um = breathing_per_um
        self._most_breathing_per_um = most_breathing_per_um
        self._reference_index: int | None = None
        self._anchor: align.Reduced | None = None
        self._sides: dict[bool, _Side] = {}
        self._followed = False

    def place(
        self,
        luminance: Image,
        index: int,
        z_um: float | None = None,
        *,
        unit: float | None = None,
    ) -> Placement:
        """Place a frame by its luminance (H, W); the first one is the reference.

        `unit` is one 8-bit level in its levels, by default that of its type.
        """
        reduced = align.reduce_luma(luminance, unit)
        if self._reference_index is None or self._anchor is None:
            self._anchor = reduced
            nothing = np.zeros(4)
            known = self._breathing_per_um != 0
            rest = None if known else Rest(nothing, nothing, 0.0)
            habit = _Habit(nothing, steps=int(known))
            start = _Side(reduced, identity(), nothing, nothing, habit, rest, z_um, known)
            self._sides = dict.fromkeys((True, False), start)
            self._reference_index = index
            return Placement(identity(), used=True, residual_px=0.0)
        above = index > self._reference_index
        side = self._sides[above]
        breathed = side.breathed(z_um, self._breathing_per_um, reduced.shape)
        most_px = side.most_outward(z_um, self._most_breathing_per_um, reduced.shape)
        placement, followed = _followed(side, self._anchor, reduced, breathed, most_px)
        self._followed = self._followed or placement.residual_px is not None
        if not self._followed and _is_blank(self._anchor, beside=reduced):
            return replace(placement, blank_before=True)
        self._sides[above] = replace(followed, z_um=z_um if placement.used else side.z_um)
        return placement


def _followed(
    side: _Side,
    anchor: align.Reduced,
    reduced: align.Reduced,
    breathed: Motion,
    most_outward_px: float,
) -> tuple[Placement, _Side]:
    """The frame's place, and its side with it as the last frame."""
    rest = _at_rest(side, anchor, reduced)
    if rest is not None:
        placement = Placement(identity(), used=True, residual_px=rest.residual_px)
        return placement, replace(side, reduced=reduced, variance=_UNSEEN, rest=rest)
    predicted = from_motion(side.pace + breathed, reduced.shape)
    found = align.register(side.reduced, reduced, predicted)
    if found is None:
        placement = _unregistered(side, reduced, predicted)
        variance = side.variance + 1.0
        if not placement.used:
            return placement, replace(side, variance=variance)
        matrix = compose(side.matrix, predicted)
        return placement, replace(side, reduced=reduced, matrix=matrix, variance=variance)
    side = _by_neighbour(side, reduced, found, breathed, most_outward_px)
    side = _by_anchor(side, anchor)
    return Placement(side.matrix, used=True, residual_px=found.residual_px), side


def _at_rest(side: _Side, anchor: align.Reduced, reduced: align.Reduced) -> Rest | None:
    """What is known of the side's rest with one more frame, None where that one does not rest.

    The neighbour is only asked where the reference does not tell enough.
    """
    if side.rest is None:
        return None
    seen = align.glance(anchor, reduced)
    if seen is not None and sharp_enough(seen):
        return side.rest.seen(seen, reduced.shape)
    step = align.glance(side.reduced, reduced)
    rest = side.rest.after(step, reduced.shape) if step is not None else None
    if rest is None or seen is None:
        return rest
    return rest.seen(seen, reduced.shape)


def _by_neighbour(
    side: _Side,
    reduced: align.Reduced,
    found: align.Registration,
    breathed: Motion,
    most_outward_px: float,
) -> _Side:
    """The step from the neighbour, between the one measured and the one before."""
    news = motion_between(identity(), found.matrix, reduced.shape) - side.pace - breathed
    doubt = (_NEIGHBOUR_BELIEF * found.spread) ** 2 + _LEAST_NEIGHBOUR_PX**2
    freedom = side.habit.freedom()
    if side.breathes:
        freedom[_SCALE] = (_LEAST_NEIGHBOUR_PX / 2 + _DOUBT_OF_BREATHING * breathed[_SCALE]) ** 2
    surprising = np.abs(news) > _SURPRISE * np.sqrt(freedom + doubt)
    share = np.where(surprising, 1.0, 1.0 / (1.0 + doubt / freedom))
    if side.breathes and surprising[_SCALE]:
        share[_SCALE] = 0.0
    step = side.pace + share * news
    if abs(step[_SCALE]) > most_outward_px + _SURPRISE * np.sqrt(doubt[_SCALE]):
        step[_SCALE] = 0.0
    return replace(
        side,
        reduced=reduced,
        matrix=compose(side.matrix, from_motion(step + breathed, reduced.shape)),
        pace=side.going_on(step),
        variance=side.variance + share * doubt,
        habit=side.habit.after(step),
        rest=None,
    )


def _by_anchor(side: _Side, anchor: align.Reduced) -> _Side:
    """Drawn towards where the reference itself puts the frame, while the two are alike."""
    found = align.refined(anchor, side.reduced, side.matrix)
    if found is None or found.correlation < _ANCHOR_CORRELATION:
        return side
    shape = side.reduced.shape
    doubt = (_ANCHOR_BELIEF * found.spread) ** 2 + _LEAST_ANCHOR_PX**2
    share = side.variance / (side.variance + doubt)
    correction = share * motion_between(side.matrix, found.matrix, shape)
    return replace(
        side,
        matrix=compose(from_motion(correction, shape), side.matrix),
        pace=side.going_on(side.pace + correction),
        variance=(1 - share) * side.variance,
    )


def _is_blank(before: align.Reduced, *, beside: align.Reduced) -> bool:
    """Whether an image shows nothing beside another that does."""
    return beside.contrast > _BLANK_LEVELS and before.contrast <= _BLANK_SHARE * beside.contrast


def _unregistered(side: _Side, reduced: align.Reduced, predicted: Matrix) -> Placement:
    before, now = side.reduced.contrast, reduced.contrast
    matrix = compose(side.matrix, predicted)
    if before <= max(_BLANK_SHARE * now, _BLANK_LEVELS):
        return Placement(matrix, True, None, "placed by prediction: its neighbour shows nothing")
    if now <= max(_BLANK_SHARE * before, _BLANK_LEVELS):
        return Placement(matrix, False, None, SHOWS_NOTHING)
    if align.alike(side.reduced, reduced, predicted) >= align.MIN_CORRELATION:
        return Placement(matrix, True, None, "placed by prediction: alignment found no better")
    return Placement(matrix, False, None, "left out: it does not match its neighbour")
