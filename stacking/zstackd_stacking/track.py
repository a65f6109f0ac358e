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

from zstackd_stacking import align
from zstackd_stacking.geometry import (
    Matrix,
    Motion,
    compose,
    from_motion,
    identity,
    motion_between,
)
from zstackd_stacking.types import Image

_BLANK_SHARE: Final = 0.25
_BLANK_LEVELS: Final = 0.2
_ANCHOR_CORRELATION: Final = 0.5
_NEIGHBOUR_BELIEF: Final = 6.0
_ANCHOR_BELIEF: Final = 3.0
"""By how much the formal spread of a registration is too small."""
_LEAST_NEIGHBOUR_PX: Final = 0.01
_LEAST_ANCHOR_PX: Final = 0.04
_CHANGE_PX: Final = np.array([0.1, 0.1, 0.015, 0.015])
_CHANGE_OF_HABIT: Final = np.array([1.0, 1.0, 0.12, 0.12])
"""How much a step may differ from the one before: so much, and so much of the usual step."""
_SURPRISE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a frame lies, whether it can be used, and what there is to say about it."""

    matrix: Matrix
    used: bool
    residual_px: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Side:
    """The frames on one side of the reference so far: the last one, its pace and its variance.

    `pace` is what the last step had beyond the breathing.
    """

    template: align.Template
    pace: Motion
    variance: Motion
    z_um: float | None = None

    def breathed(
        self, z_um: float | None, breathing_per_um: float, shape: tuple[int, int]
    ) -> Motion:
        """What the lens by itself does on the way to a frame at that height."""
        if z_um is None or self.z_um is None:
            return np.zeros(4)
        outward = np.expm1(-breathing_per_um * (z_um - self.z_um)) * max(shape) / 2
        return np.array([0.0, 0.0, outward, 0.0])


@dataclass(slots=True)
class _Habit:
    """The usual step from frame to frame; a rig that has stood still is believed to stand still."""

    squares: Motion
    steps: int = 0

    def freedom(self) -> Motion:
        """Variance that the change from one step to the next is expected to have."""
        usual = np.sqrt(self.squares / max(self.steps, 1))
        return np.asarray((_CHANGE_PX + _CHANGE_OF_HABIT * usual) ** 2, np.float64)

    def learn(self, step: Motion) -> None:
        """Take in one more step."""
        self.squares = self.squares + step**2
        self.steps += 1


class Track:
    """Places each frame by its nearest neighbour on the way out from the reference."""

    def __init__(self, *, breathing_per_um: float = 0.0) -> None:
        self._breathing_per_um = breathing_per_um
        self._reference_index: int | None = None
        self._anchor: align.Template | None = None
        self._sides: dict[bool, _Side] = {}
        self._habit = _Habit(np.zeros(4))

    def place(self, luminance: Image, index: int, z_um: float | None = None) -> Placement:
        """Place a frame by its luminance (H, W); the first one is the reference."""
        reduced = align.reduce_luma(luminance)
        if self._reference_index is None or self._anchor is None:
            self._anchor = align.first_template(reduced)
            self._sides = dict.fromkeys(
                (True, False), _Side(self._anchor, np.zeros(4), np.zeros(4), z_um)
            )
            self._reference_index = index
            return Placement(identity(), used=True, residual_px=0.0)
        above = index > self._reference_index
        side = self._sides[above]
        breathed = side.breathed(z_um, self._breathing_per_um, reduced.shape)
        placement, followed = _followed(side, self._anchor, self._habit, reduced, breathed)
        self._sides[above] = replace(followed, z_um=z_um if placement.used else side.z_um)
        return placement


def _followed(
    side: _Side, anchor: align.Template, habit: _Habit, reduced: align.Reduced, breathed: Motion
) -> tuple[Placement, _Side]:
    shape = reduced.shape
    predicted = compose(from_motion(side.pace + breathed, shape), side.template.matrix)
    found = align.register(side.template, reduced, predicted)
    if found is None:
        placement = _unregistered(side, reduced, predicted)
        template = side.template
        if placement.used:
            template = align.template_at(reduced, placement.matrix)
        return placement, _Side(template, side.pace, side.variance + 1.0)
    matrix, variance = _by_neighbour(side, habit, found, breathed, shape)
    matrix, variance = _by_anchor(anchor, reduced, matrix, variance)
    pace = motion_between(side.template.matrix, matrix, shape) - breathed
    template = align.template_at(reduced, matrix)
    placement = Placement(matrix, used=True, residual_px=found.residual_px)
    return placement, _Side(template, pace, variance)


def _by_neighbour(
    side: _Side,
    habit: _Habit,
    found: align.Registration,
    breathed: Motion,
    shape: tuple[int, int],
) -> tuple[Matrix, Motion]:
    """The step from the neighbour, between the one measured and the one before."""
    news = motion_between(side.template.matrix, found.matrix, shape) - side.pace - breathed
    doubt = (_NEIGHBOUR_BELIEF * found.spread) ** 2 + _LEAST_NEIGHBOUR_PX**2
    freedom = habit.freedom()
    surprising = np.abs(news) > _SURPRISE * np.sqrt(freedom + doubt)
    share = np.where(surprising, 1.0, freedom / (freedom + doubt))
    step = side.pace + share * news
    habit.learn(step)
    matrix = compose(from_motion(step + breathed, shape), side.template.matrix)
    return matrix, side.variance + share * doubt


def _by_anchor(
    anchor: align.Template, reduced: align.Reduced, matrix: Matrix, variance: Motion
) -> tuple[Matrix, Motion]:
    """Drawn towards where the reference itself puts the frame, while the two are alike."""
    found = align.refined(anchor, reduced, matrix)
    if found is None or found.correlation < _ANCHOR_CORRELATION:
        return matrix, variance
    doubt = (_ANCHOR_BELIEF * found.spread) ** 2 + _LEAST_ANCHOR_PX**2
    share = variance / (variance + doubt)
    correction = share * motion_between(matrix, found.matrix, reduced.shape)
    return compose(from_motion(correction, reduced.shape), matrix), (1 - share) * variance


def _unregistered(side: _Side, reduced: align.Reduced, predicted: Matrix) -> Placement:
    before, now = side.template.reduced.contrast, reduced.contrast
    if before <= max(_BLANK_SHARE * now, _BLANK_LEVELS):
        return Placement(predicted, True, None, "placed by prediction: its neighbour shows nothing")
    if now <= max(_BLANK_SHARE * before, _BLANK_LEVELS):
        return Placement(predicted, False, None, "left out: it shows nothing to align by")
    if align.correlation(side.template, reduced, predicted) >= align.MIN_CORRELATION:
        return Placement(predicted, True, None, "placed by prediction: alignment found no better")
    return Placement(predicted, False, None, "left out: it does not match its neighbour")
