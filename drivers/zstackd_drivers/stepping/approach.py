"""One-direction approach and limits: the way to a height, in whole motor steps."""

import math
from dataclasses import dataclass
from typing import Literal

from zstackd_config.focus import OVERSHOOT_PER_BACKLASH
from zstackd_drivers.errors import LimitError

_EPSILON_UM = 1e-6
CONFIRMED_BEYOND = 0.1
"""How far beyond the limits an axis may be said to stand, as a share of the travel."""


def overshoot_um(backlash_um: float) -> float:
    """Return how far past a plane a motion against the approach goes; zero without backlash."""
    return OVERSHOOT_PER_BACKLASH * backlash_um


def check_confirmed(position_um: float, *, limits_um: tuple[float, float]) -> None:
    """Raise LimitError where nobody may say that the axis stands: far beyond the limits.

    A little beyond is where end stops are, and from there it may be moved back.
    """
    low, high = limits_um
    beyond_um = CONFIRMED_BEYOND * (high - low)
    lowest, highest = low - beyond_um, high + beyond_um
    if not lowest - _EPSILON_UM <= position_um <= highest + _EPSILON_UM:
        raise LimitError(
            f"the focus axis cannot stand at {position_um:zg} µm: a height is believed from "
            f"{lowest:zg} to {highest:zg} µm, the limits {low:zg} to {high:zg} µm and a tenth of "
            "the travel beyond; look again where it stands, or change focus.limits_um of the rig"
        )


def check_reach(
    z_um: float,
    *,
    limits_um: tuple[float, float],
    backlash_um: float,
    approach: Literal["up", "down"],
    overshoots: bool,
) -> None:
    """Raise LimitError where `z_um`, or the overshoot before it, lies beyond the limits."""
    low, high = limits_um
    if not low - _EPSILON_UM <= z_um <= high + _EPSILON_UM:
        raise LimitError(
            f"focus height {z_um:zg} µm is beyond the limits {low:zg} to {high:zg} µm: "
            "stay within them, or widen focus.limits_um of the rig"
        )
    turn = z_um - (overshoot_um(backlash_um) if approach == "up" else -overshoot_um(backlash_um))
    if overshoots and not low - _EPSILON_UM <= turn <= high + _EPSILON_UM:
        raise LimitError(
            f"focus height {z_um:zg} µm is approached {approach} from {turn:zg} µm, beyond the "
            f"limits {low:zg} to {high:zg} µm: stay {overshoot_um(backlash_um):g} µm inside "
            f"(1.25 × backlash)"
        )


@dataclass(frozen=True, slots=True)
class StepGrid:
    """Whole motor steps, counted from the controller's machine zero, and their heights."""

    um_per_unit: float
    steps_per_unit: float
    origin_um: float

    @property
    def step_um(self) -> float:
        """Micrometres of one step, always positive."""
        return abs(self.um_per_unit) / self.steps_per_unit

    def nearest(self, z_um: float) -> int:
        """Return the step nearest to a height."""
        return round((z_um - self.origin_um) / self.um_per_unit * self.steps_per_unit)

    def units(self, step: int) -> float:
        """Return a step's position in controller units."""
        return step / self.steps_per_unit

    def height_um(self, units: float) -> float:
        """Return the height of a position in controller units."""
        return self.origin_um + self.um_per_unit * units + 0.0  # never -0

    def way(
        self, start: int, target: int, *, approach: Literal["up", "down"], backlash_um: float,
        engaged: bool,
    ) -> list[int]:  # fmt: skip
        """Return the steps to visit so that the last motion takes up all backlash.

        `engaged`: the screw already bears in the approach direction. Empty where nothing moves.
        """
        upward = 1 if (approach == "up") == (self.um_per_unit > 0) else -1
        overshoot = math.ceil(overshoot_um(backlash_um) / self.step_um - _EPSILON_UM)
        ahead = upward * (target - start)
        if ahead == 0 and (engaged or not overshoot):
            return []
        if not overshoot or ahead >= (0 if engaged else overshoot):
            return [target]
        return [target - upward * overshoot, target]
