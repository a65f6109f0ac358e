"""What a simulated GRBL controller is: its mechanics, its settings, its quirks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Self

from zstackd_config.focus import StepperFocus
from zstackd_config.rig import Simulation
from zstackd_drivers.firmware.other_firmware import Kind
from zstackd_drivers.firmware.setup import TwinSetup, reach

_STEP_UM = 0.25
_ACCELERATION_UM_S2 = 10_000.0
_SPARE_UM = 500.0
_BASE = {
    0: 10, 1: 255, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0, 10: 1, 11: 0.01, 12: 0.002, 13: 0,
    20: 1, 21: 0, 22: 1, 23: 0, 24: 25, 25: 500, 26: 250, 27: 1, 30: 1000, 31: 0, 32: 0,
    100: 250, 101: 250, 102: 250, 110: 500, 111: 500, 112: 500,
    120: 10, 121: 10, 122: 10, 130: 200, 131: 200, 132: 200,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class GrblSetup(TwinSetup):
    """A simulated GRBL controller.

    With the switch at the high end, machine zero is the switch, as GRBL is shipped; with it at
    the low end, the firmware counts as built with its own origin. `work_offset` is where G54 has
    its zero, in machine units. One that does not brake ignores the order to cancel a jog.
    """

    settings: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))
    firmware: Literal["grbl"] | Kind = "grbl"
    blank_eeprom: bool = False
    home_fails: bool = False
    work_offset: float = 0.0
    brakes: bool = True

    def all_settings(self) -> dict[int, float]:
        """Return the `$$` settings: the shipped ones, overruled by `settings`."""
        return {**_BASE, **self.settings}

    @property
    def step_um(self) -> float:
        """Micrometres of one motor step."""
        return abs(self.um_per_unit) / self.all_settings()[102]

    @classmethod
    def from_rig(cls, focus: StepperFocus, simulation: Simulation) -> Self:
        """Return a controller that suits a rig: every height within the limits is in reach."""
        scale = abs(focus.um_per_unit)
        spare_um = _SPARE_UM + 2 * focus.backlash_um
        low, high = reach(focus, spare_um)
        shipped = high <= spare_um / scale
        travel = (low, 0.0 if shipped else high)
        rate = 60 * focus.speed_um_per_s / scale
        span = travel[1] - travel[0]
        return cls(
            travel=travel,
            start=low + 0.4 * span,
            um_per_unit=focus.um_per_unit,
            origin_um=focus.origin_um,
            baud=focus.baud,
            backlash_um=simulation.backlash_um,
            engaged=focus.approach,
            home="high" if shipped else "low",
            settings={
                **_motion_settings(rate, scale, span),
                # Without homing, soft limits would count from where it is switched on.
                20: int(focus.reference == "home"),
                23: 0 if shipped else 4,
                27: 0.1 * spare_um / scale,
            },
        )


def _motion_settings(rate: float, scale: float, span: float) -> dict[int, float]:
    return {
        24: rate,
        25: 4 * rate,
        102: scale / _STEP_UM,
        112: 4 * rate,
        122: _ACCELERATION_UM_S2 / scale,
        132: span,
    }
