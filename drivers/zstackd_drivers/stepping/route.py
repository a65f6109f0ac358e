"""Where a move leads in whole motor steps, and how long it takes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from zstackd_config.focus import StepperFocus
from zstackd_drivers.stepping.approach import StepGrid, check_reach
from zstackd_drivers.stepping.controller import Machine


@dataclass(frozen=True, slots=True)
class Route:
    """Plans moves for one rig, one machine and one origin; moves nothing."""

    focus: StepperFocus
    machine: Machine
    origin_um: float

    @property
    def speed(self) -> float:
        """Units per second: the rig's, or the most that the machine allows."""
        asked = self.focus.speed_um_per_s / abs(self.focus.um_per_unit)
        return min(asked, self.machine.max_speed)

    def way(self, start: int, z_um: float, *, engaged: bool) -> list[int]:
        """Return the steps to visit; empty where nothing moves.

        Raises LimitError where the height, or the overshoot before it, is beyond the limits.
        """
        way = self._way(start, z_um if math.isfinite(z_um) else self.grid.height_um(0.0), engaged)
        check_reach(
            z_um,
            limits_um=self.focus.limits_um,
            backlash_um=self.focus.backlash_um,
            approach=self.focus.approach,
            overshoots=len(way) > 1,
        )
        return way

    def units(self, way: Sequence[int]) -> list[float]:
        """Return steps as positions in controller units."""
        return [self.grid.units(step) for step in way]

    def travel_s(self, way: Sequence[int]) -> float:
        """Return the rig seconds of the motions from each step to the next."""
        machine = self.machine
        return sum(
            machine.duration_s(abs(to - start) / machine.steps_per_unit, self.speed)
            for start, to in pairwise(way)
        )

    def duration_s(self, from_um: float, to_um: float) -> float:
        """Return the rig seconds of a move from rest at a height, overshoot included."""
        start = self.grid.nearest(from_um)
        return self.travel_s([start, *self._way(start, to_um, True)])

    @property
    def grid(self) -> StepGrid:
        """The steps and their heights."""
        return StepGrid(self.focus.um_per_unit, self.machine.steps_per_unit, self.origin_um)

    def _way(self, start: int, z_um: float, engaged: bool) -> list[int]:
        return self.grid.way(
            start,
            self.grid.nearest(z_um),
            approach=self.focus.approach,
            backlash_um=self.focus.backlash_um,
            engaged=engaged,
        )
