"""Every focus driver by its settings in the rig: the controller behind the axis."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from zstackd_config.focus import GrblFocus, MarlinFocus, SangaboardFocus, StepperFocus
from zstackd_drivers.clock import Clock
from zstackd_drivers.grbl.controller import GrblController
from zstackd_drivers.marlin.controller import MarlinController
from zstackd_drivers.sangaboard.controller import SangaboardController
from zstackd_drivers.serial.dialogue import Timeouts
from zstackd_drivers.serial.link import Port
from zstackd_drivers.serial.port_search import NamedPort, OnlyPort, usb_serial_ports
from zstackd_drivers.stepping.stepping_axis import SteppingAxis

AnyController = GrblController | MarlinController | SangaboardController
CONTROLLERS: Mapping[type[StepperFocus], type[AnyController]] = {
    GrblFocus: GrblController,
    MarlinFocus: MarlinController,
    SangaboardFocus: SangaboardController,
}
AUTO_PORT = "auto"


def make_axis(
    focus: StepperFocus, *, port: Port, clock: Clock, timeouts: Timeouts | None = None
) -> SteppingAxis:
    """Return the axis of a rig, not yet open; `timeouts` are stretched for a slow clock."""
    limits = (timeouts or Timeouts()).scaled(1 / min(1.0, clock.scale))
    return SteppingAxis(
        focus,
        clock=clock,
        controller=lambda tell: CONTROLLERS[type(focus)](
            focus, port=port, timeouts=limits, on_disturbance=tell
        ),
    )


def port_of(
    focus: StepperFocus,
    *,
    candidates: Callable[[], Sequence[str]] = usb_serial_ports,
    timeouts: Timeouts | None = None,
) -> Port:
    """Return where the rig's controller is: on the port it names, or on one of `candidates`."""
    if focus.port != AUTO_PORT:
        return NamedPort(focus.port)
    probe = partial(_probe, focus, timeouts or Timeouts())
    return OnlyPort(CONTROLLERS[type(focus)].kind, candidates, probe)


def _probe(focus: StepperFocus, timeouts: Timeouts, path: str) -> str:
    controller = CONTROLLERS[type(focus)](
        focus, port=NamedPort(path), timeouts=timeouts, on_disturbance=lambda _: None
    )
    return controller.probe()
