"""What a simulated Sangaboard is: its mechanics, its firmware, its settings."""

from dataclasses import dataclass
from typing import Literal, Self

from zstackd_config.focus import StepperFocus
from zstackd_config.rig import Simulation
from zstackd_drivers.firmware.setup import TwinSetup, reach

_SPARE_UM = 500.0
_START_SHARE = 0.4
_US = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class SangaboardSetup(TwinSetup):
    """A simulated Sangaboard; its unit is the motor step.

    `end_stops` are the ends that the firmware is built for; `home_fails` means that the switch is
    never met, `home_hits` how often it closes while homing looks for it twice. `saved` is the
    position that its EEPROM kept, `blocking_moves` the setting.
    """

    version: Literal["0.4", "0.5.1", "1.0.1"] = "1.0.1"
    blocking_moves: bool = True
    step_delay_us: int = 1000
    ramp_time_us: int = 0
    end_stops: tuple[Literal["min", "max"], ...] = ()
    home_fails: bool = False
    home_hits: int = 2
    retreat_steps: int = 5000
    saved: int = 0

    @property
    def blocks(self) -> bool:
        """Whether the firmware is deaf while the motor moves."""
        return self.version.startswith("0.")

    @classmethod
    def from_rig(cls, focus: StepperFocus, simulation: Simulation) -> Self:
        """Return a board that suits a rig: every height within the limits is in reach."""
        low, high = reach(focus, _SPARE_UM + 2 * focus.backlash_um)
        # A board with a switch counts 0 where it is.
        homes = focus.reference == "home"
        low = 0.0 if homes else low
        start = round(low + _START_SHARE * (high - low))
        steps_per_s = focus.speed_um_per_s / abs(focus.um_per_unit)
        return cls(
            travel=(low, high),
            start=float(start),
            um_per_unit=focus.um_per_unit,
            origin_um=focus.origin_um,
            backlash_um=simulation.backlash_um,
            engaged=focus.approach,
            home="low",
            baud=focus.baud,
            step_delay_us=round(_US / steps_per_s),
            saved=start,
            end_stops=("min",) if homes else (),
        )
