"""`focus` of a rig: the motor controller, what a motor step moves, and how far it may go."""

import math
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, ValidationInfo, field_validator

from zstackd_config.base import Settings
from zstackd_config.z_plan import HeightUm

OVERSHOOT_PER_BACKLASH = 1.25
"""How far past a plane a motion against the approach goes, as a share of the backlash."""

LEAST_UM_PER_UNIT = 1e-4
MOST_UM_PER_UNIT = 1e5

SettleMs = Annotated[float, Field(ge=0, le=60_000)]


class StepperFocus(Settings):
    """What every focus axis needs; see the drivers below for what each adds."""

    port: str = Field(
        min_length=1,
        max_length=4096,
        description="Device path of the controller (best: /dev/serial/by-id/…), `auto` (the one "
        "USB controller attached), or `simulated`.",
    )
    baud: PositiveInt = Field(115200, description="Line speed in bits per second.")
    um_per_unit: float = Field(
        1000.0,
        description="Micrometres of focus travel per controller unit (GRBL and Marlin: per mm of "
        "the controller); negative turns the direction round.",
    )
    origin_um: HeightUm = Field(
        0.0, description="Height in micrometres of the controller's machine zero."
    )
    limits_um: tuple[HeightUm, HeightUm] = Field(
        description="Lowest and highest permitted height, in micrometres."
    )
    backlash_um: Annotated[float, Field(ge=0, le=100_000)] = Field(
        description="Lost motion on reversal, in micrometres; each plane is approached from one "
        "side with an overshoot larger than this."
    )
    approach: Literal["up", "down"] = Field(
        "up", description="Direction of the last motion onto every plane."
    )
    speed_um_per_s: Annotated[float, Field(ge=0.01, le=1e6)] = Field(
        description="Speed of moves, in micrometres per second."
    )
    settle_ms: SettleMs | Literal["auto"] = Field(
        description="Rest after each move before the exposure, in milliseconds; `auto`: until the "
        "image has stopped moving, which takes at least four frames a plane."
    )
    settle_limit_ms: Annotated[float, Field(ge=50, le=60_000)] = Field(
        2000.0,
        description="For `settle_ms: auto`: the longest that the image may go on moving after a "
        "move, in milliseconds; a run that meets this bound fails. Searches for the focus and "
        "calibrations rest for just this time.",
    )
    reference: Literal["home", "confirm"] = Field(
        "home",
        description="How the position becomes known: `home` (the controller's own homing), or "
        "`confirm` (an operator says where it stands).",
    )

    @property
    def longest_settle_ms(self) -> float:
        """The rest after a move where nobody looks whether the image is still, in ms."""
        return self.settle_limit_ms if self.settle_ms == "auto" else self.settle_ms

    @field_validator("um_per_unit")
    @classmethod
    def _turns_the_motor(cls, um_per_unit: float) -> float:
        if not LEAST_UM_PER_UNIT <= abs(um_per_unit) <= MOST_UM_PER_UNIT:
            raise ValueError(
                f"a unit moves {LEAST_UM_PER_UNIT:g} to {MOST_UM_PER_UNIT:g} µm, in either "
                "direction; give what one unit really moves"
            )
        return um_per_unit

    @field_validator("limits_um")
    @classmethod
    def _low_before_high(cls, limits_um: tuple[float, float]) -> tuple[float, float]:
        low, high = limits_um
        if not low < high:
            raise ValueError(f"{low:zg} to {high:zg} µm is no range; give the lower height first")
        return limits_um

    @field_validator("backlash_um")
    @classmethod
    def _room_for_the_approach(cls, backlash_um: float, info: ValidationInfo) -> float:
        low, high = info.data.get("limits_um", (-math.inf, math.inf))
        if backlash_um * OVERSHOOT_PER_BACKLASH >= high - low:
            raise ValueError(
                f"leaves no room to approach planes within limits_um {low:zg} to {high:zg} µm; "
                "widen the limits"
            )
        return backlash_um


class GrblFocus(StepperFocus):
    """A focus axis on the Z of a GRBL 1.1 controller."""

    driver: Literal["grbl"]


class MarlinFocus(StepperFocus):
    """A focus axis on the Z of a controller with Marlin 1.1 or 2."""

    driver: Literal["marlin"]


class SangaboardFocus(StepperFocus):
    """A focus axis on the Z of a Sangaboard (OpenFlexure), firmware 0.5 or 1."""

    driver: Literal["sangaboard"]
    um_per_unit: float = Field(
        description="Micrometres of focus travel per motor step, near 0.05 on an OpenFlexure "
        "microscope; negative turns the direction round."
    )
    reference: Literal["home", "confirm"] = Field(
        "confirm",
        description="How the position becomes known: `confirm` (an operator says where it "
        "stands), or `home` (only where end stops are fitted).",
    )


Focus = Annotated[GrblFocus | MarlinFocus | SangaboardFocus, Field(discriminator="driver")]
