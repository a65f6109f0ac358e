"""Every focus driver by its name in the rig: the controller behind the axis."""

from collections.abc import Callable

from zstackd_config.focus import StepperFocus
from zstackd_drivers.clock import Clock
from zstackd_drivers.controller import Controller
from zstackd_drivers.dialogue import Timeouts
from zstackd_drivers.grbl_controller import GrblController
from zstackd_drivers.serial_link import Port
from zstackd_drivers.stepping_axis import SteppingAxis


def make_axis(
    focus: StepperFocus, *, port: Port, clock: Clock, timeouts: Timeouts | None = None
) -> SteppingAxis:
    """Return the axis of a rig, not yet open; `timeouts` are stretched for a slow clock."""
    limits = (timeouts or Timeouts()).scaled(1 / min(1.0, clock.scale))
    return SteppingAxis(
        focus, clock=clock, controller=lambda tell: _controller(focus, port, limits, tell)
    )


def _controller(
    focus: StepperFocus, port: Port, timeouts: Timeouts, tell: Callable[[str], None]
) -> Controller:
    return GrblController(focus, port=port, timeouts=timeouts, on_disturbance=tell)
