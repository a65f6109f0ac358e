"""What a simulated Marlin controller is: its mechanics, its settings, its quirks."""

from dataclasses import dataclass
from typing import Self

from zstackd_config.focus import StepperFocus
from zstackd_config.rig import Simulation
from zstackd_drivers.firmware.setup import TwinSetup, reach

_STEP_UM = 0.25
_ACCELERATION_UM_S2 = 10_000.0
_SPARE_UM = 500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MarlinSetup(TwinSetup):
    """A simulated Marlin controller; lengths in millimetres, speeds in mm/s.

    `jerk` is the change of speed that needs no ramp (None: a build with junction deviation, which
    has no such setting). `legacy` is Marlin 1.1, whose M114 waits for motion to end. `homes_xy`
    refuses to home Z alone. `extruders`, where there are several, have settings of their own. One
    that does not greet starts without a word. `keepalive_s` is how often it says that it is busy
    (0: never, until M113 tells it to; None: a build that cannot).
    """

    steps_per_unit: float = 400.0
    max_speed: float = 5.0
    acceleration: float = 100.0
    jerk: float | None = 0.3
    homing_speed: float = 4.0
    soft_end_stops: bool = True
    legacy: bool = False
    greets: bool = True
    advanced_ok: bool = False
    reports_settings: bool = True
    homes_xy: bool = False
    extruders: int = 1
    home_fails: bool = False
    keepalive_s: float | None = 2.0

    @property
    def step_um(self) -> float:
        """Micrometres of one motor step."""
        return abs(self.um_per_unit) / self.steps_per_unit

    @classmethod
    def from_rig(cls, focus: StepperFocus, simulation: Simulation) -> Self:
        """Return a controller that suits a rig: every height within the limits is in reach."""
        scale = abs(focus.um_per_unit)
        low, high = reach(focus, _SPARE_UM + 2 * focus.backlash_um)
        speed = focus.speed_um_per_s / scale
        return cls(
            travel=(low, high),
            start=low + 0.4 * (high - low),
            um_per_unit=focus.um_per_unit,
            origin_um=focus.origin_um,
            backlash_um=simulation.backlash_um,
            engaged=focus.approach,
            home="low",
            baud=focus.baud,
            steps_per_unit=scale / _STEP_UM,
            max_speed=4 * speed,
            acceleration=_ACCELERATION_UM_S2 / scale,
            jerk=1.2 * speed,
            homing_speed=4 * speed,
        )
