"""What every simulated controller is: a motor, a screw with play, a board on a serial line."""

from dataclasses import dataclass
from typing import Literal

from zstackd_config.focus import StepperFocus
from zstackd_drivers.firmware.motion import Mechanics, Motor


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinSetup:
    """A simulated axis and board; `travel` and `start` are in controller units.

    `travel` is what the mechanics allow; `engaged` is the direction in which the specimen stands
    exactly where the motor does. `home` tells the end with the switch.
    """

    travel: tuple[float, float]
    start: float
    um_per_unit: float = 1000.0
    origin_um: float = 0.0
    backlash_um: float = 0.0
    engaged: Literal["up", "down"] = "up"
    home: Literal["high", "low"] = "high"
    baud: int = 115200
    resets_on_open: bool = True

    @property
    def step_um(self) -> float:
        """Micrometres of one motor step, which is the unit where a board has no other."""
        return abs(self.um_per_unit)

    def motor(self, steps_per_unit: float) -> Motor:
        """Return the motor, at rest where it starts."""
        mechanics = Mechanics(self.um_per_unit, self.origin_um, self.backlash_um, self.engaged)
        return Motor(mechanics=mechanics, steps_per_unit=steps_per_unit, start=self.start)


def reach(focus: StepperFocus, spare_um: float) -> tuple[float, float]:
    """Return the controller units between which a rig's limits lie, with room on both sides."""
    ends = [(height - focus.origin_um) / focus.um_per_unit for height in focus.limits_um]
    spare = spare_um / abs(focus.um_per_unit)
    return min(ends) - spare, max(ends) + spare


class Witness:
    """Sees every motion that a driver commands.

    `violations` lists those that none should have: on a position that was lost and not referenced
    again, or beyond the mechanics. `trusted` is for the firmware to keep.
    """

    def __init__(self, travel: tuple[float, float]) -> None:
        self.motions = 0
        self.violations: list[str] = []
        self.trusted = False
        self._travel = travel

    def motion(self, target: float) -> None:
        """Note a commanded motion to `target`, in units as they truly are."""
        self.motions += 1
        low, high = self._travel
        if not self.trusted:
            self.violations.append(f"motion to {target:g} on an unknown position")
        elif not low <= target <= high:
            self.violations.append(f"motion to {target:g}, beyond {low:g} to {high:g}")
