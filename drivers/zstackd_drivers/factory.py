"""From a rig's settings to open devices."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from zstackd_config.focus import SangaboardFocus, StepperFocus
from zstackd_config.rig import Rig, Simulation
from zstackd_drivers.axis import FocusAxis, Reference
from zstackd_drivers.camera import Camera
from zstackd_drivers.cameras import make_camera
from zstackd_drivers.clock import Clock, ScaledClock, SystemClock
from zstackd_drivers.controllers import make_axis, port_of
from zstackd_drivers.errors import UnreferencedError
from zstackd_drivers.firmware.twin import FirmwareTwin
from zstackd_drivers.serial.port_search import NamedPort
from zstackd_drivers.true_focus import TrueFocus
from zstackd_drivers.twins import make_twin, setup_of

SIMULATED_PORT = "simulated"
_CAMERAS_WITHOUT_HARDWARE = {"simulated", "folder"}


@dataclass(frozen=True, slots=True)
class Devices:
    """The open rig; `truth` is where the specimen stands, as far as that can be known."""

    axis: FocusAxis
    camera: Camera
    clock: Clock
    truth: TrueFocus


class ReportedFocus:
    """What a real axis reports, for a simulated camera that has no better truth."""

    def __init__(self, axis: FocusAxis, clock: Clock) -> None:
        self._axis = axis
        self._clock = clock
        self._lock = threading.Lock()
        self._moved_ns: int | None = None

    def true_position_um(self, at_ns: int | None = None) -> float:  # noqa: ARG002
        """Return the last reported height, or 0 where nothing was reported; `at_ns` is ignored."""
        return self._axis.snapshot().position_um or 0.0

    def last_motion_end_ns(self) -> int | None:
        """Return when motion was last seen; None where it never was."""
        with self._lock:
            if self._axis.snapshot().moving:
                self._moved_ns = self._clock.monotonic_ns()
            return self._moved_ns


class AtRest:
    """An axis that stands at height 0 and never moves, for a simulated camera on its own."""

    def true_position_um(self, at_ns: int | None = None) -> float:  # noqa: ARG002
        """Return 0."""
        return 0.0

    def last_motion_end_ns(self) -> int | None:
        """Return None: nothing ever moved."""
        return None


@contextmanager
def open_devices(rig: Rig) -> Iterator[Devices]:
    """Open clock, axis and camera of `rig`; on leaving, close them in reverse.

    Nothing moves: see `reference_axis`. Raises a `HardwareError` where a part fails, with those
    already open closed again.
    """
    clock = make_clock(rig)
    with ExitStack() as stack:
        axis, twin = _enter_axis(stack, rig.focus, rig.simulation, clock)
        truth: TrueFocus = twin or ReportedFocus(axis, clock)
        camera = stack.enter_context(make_camera(rig, clock=clock, truth=truth))
        yield Devices(axis, camera, clock, truth)


def settings_of_devices(rig: Rig) -> tuple[object, ...]:
    """Return what the devices are opened with; all else may change while they stay open."""
    is_simulated = rig.focus.port == SIMULATED_PORT or rig.camera.driver == "simulated"
    return (rig.camera, rig.focus, *((rig.optics, rig.simulation) if is_simulated else ()))


@contextmanager
def open_axis(rig: Rig) -> Iterator[FocusAxis]:
    """Open the focus axis of `rig` alone; nothing moves."""
    with ExitStack() as stack:
        axis, _ = _enter_axis(stack, rig.focus, rig.simulation, make_clock(rig))
        yield axis


@contextmanager
def open_camera(rig: Rig) -> Iterator[Camera]:
    """Open the camera of `rig` alone; a simulated one looks at height 0."""
    clock = make_clock(rig)
    with make_camera(rig, clock=clock, truth=AtRest()) as camera:
        yield camera


def make_clock(rig: Rig) -> Clock:
    """Return the rig's clock: scaled only where nothing of the rig is real hardware."""
    simulated = rig.focus.port == SIMULATED_PORT
    if simulated and rig.camera.driver in _CAMERAS_WITHOUT_HARDWARE:
        return ScaledClock(rig.simulation.time_scale)
    return SystemClock()


def known_step_um(rig: Rig) -> float | None:
    """Return what a motor step moves, as far as the rig file tells it; else None.

    GRBL and Marlin have it in their own settings: `FocusAxis.step_um` tells it once they are open.
    """
    if rig.focus.port == SIMULATED_PORT:
        return setup_of(rig.focus, rig.simulation).step_um
    return abs(rig.focus.um_per_unit) if isinstance(rig.focus, SangaboardFocus) else None


def reference_axis(axis: FocusAxis, settings: StepperFocus) -> None:
    """Make the position known: home where `reference` is `home`, else ask for an operator.

    Does nothing where it is known. Raises UnreferencedError where only an operator can say.
    """
    state = axis.snapshot()
    if state.reference is Reference.REFERENCED:
        return
    if settings.reference == "home":
        axis.home()
        return
    raise UnreferencedError(
        f"the focus axis on {settings.port} does not know its position "
        f"({state.fault or 'not referenced since start'}): confirm where it stands"
    )


def _enter_axis(
    stack: ExitStack, focus: StepperFocus, simulation: Simulation, clock: Clock
) -> tuple[FocusAxis, FirmwareTwin | None]:
    if focus.port != SIMULATED_PORT:
        return stack.enter_context(make_axis(focus, port=port_of(focus), clock=clock)), None
    twin = stack.enter_context(make_twin(focus, simulation, clock))
    axis = make_axis(focus, port=NamedPort(twin.port), clock=clock)
    return stack.enter_context(axis), twin
