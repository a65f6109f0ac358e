"""Every focus driver by its settings in the rig: the controller behind the axis, and its twin."""

from collections.abc import Callable, Mapping
from typing import Any

from zstackd_config.focus import GrblFocus, MarlinFocus, SangaboardFocus, StepperFocus
from zstackd_drivers.clock import Clock
from zstackd_drivers.controller import Controller
from zstackd_drivers.dialogue import Timeouts
from zstackd_drivers.grbl_controller import GrblController
from zstackd_drivers.marlin_controller import MarlinController
from zstackd_drivers.sangaboard_controller import SangaboardController
from zstackd_drivers.serial_link import Port
from zstackd_drivers.stepping_axis import SteppingAxis

CONTROLLERS: Mapping[type[StepperFocus], Callable[..., Controller]] = {
    GrblFocus: GrblController,
    MarlinFocus: MarlinController,
    SangaboardFocus: SangaboardController,
}


def make_axis(
    focus: StepperFocus, *, port: Port, clock: Clock, timeouts: Timeouts | None = None
) -> SteppingAxis:
    """Return the axis of a rig, not yet open; `timeouts` are stretched for a slow clock."""
    options: dict[str, Any] = {
        "port": port,
        "timeouts": (timeouts or Timeouts()).scaled(1 / min(1.0, clock.scale)),
    }
    make = CONTROLLERS[type(focus)]
    return SteppingAxis(
        focus, clock=clock, controller=lambda tell: make(focus, on_disturbance=tell, **options)
    )
