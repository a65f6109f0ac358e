"""The rig by hand, where no service has it: opened, used, and closed again."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from zstackd.runs.autofocus import FoundFocus, find_focus
from zstackd.runs.halt import Halt
from zstackd.runs.progress import Say, unheard
from zstackd.runs.safety import motor_stops_with
from zstackd.store.spool import Spool
from zstackd.system.signals import StopSignals
from zstackd_config.errors import HardwareError, InputError, Interrupted
from zstackd_config.rig import Rig
from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.axis import AxisSnapshot, FocusAxis
from zstackd_drivers.camera import Frame
from zstackd_drivers.errors import LimitError, UnreferencedError
from zstackd_drivers.factory import (
    Devices,
    make_clock,
    open_axis,
    open_camera,
    open_devices,
    reference_axis,
)

_AGAIN_S = 0.02

Hold = Callable[[Rig, Halt], AbstractContextManager[object]]
"""Keeps others from the rig while entered; what it halts stops the motor."""


def alone(rig: Rig, halt: Halt) -> AbstractContextManager[object]:
    """Hold a rig that no service has, by its state folder."""
    del halt
    return Spool(rig.paths.state)


def home(rig: Rig) -> AxisSnapshot:
    """Run the homing cycle."""
    with _held(rig) as axis:
        axis.home()
        return axis.snapshot()


def where(rig: Rig) -> AxisSnapshot:
    """Return what the controller reports, which nobody vouches for."""
    with _held(rig) as axis:
        return axis.snapshot()


def move(rig: Rig, z_um: float, *, at_um: float | None) -> AxisSnapshot:
    """Move to a height, from `at_um` if given, else homed first where the rig can.

    Raises InputError beyond the limits, UnreferencedError where nobody knows the position.
    """
    with _referenced(rig, at_um) as axis:
        axis.move_to(z_um)
        return axis.snapshot()


def jog(rig: Rig, by_um: float, *, at_um: float | None) -> AxisSnapshot:
    """Move by a distance; raises as `move`."""
    with _referenced(rig, at_um) as axis:
        if by_um and abs(by_um) < axis.step_um / 2:
            raise InputError(too_small(by_um))
        axis.move_to((axis.snapshot().position_um or 0.0) + by_um)
        return axis.snapshot()


def too_small(by_um: float) -> str:
    """Return what to say of a distance over which the axis cannot go."""
    return (
        f"nothing moved: {by_um:g} µm is less than half a motor step; jog farther, such steps "
        "do not add up"
    )


def stop(rig: Rig) -> None:
    """Stop whatever moves: opening the controller does, and it is told once more."""
    with _held(rig) as axis:
        axis.stop()


def auto(
    rig: Rig, range_um: tuple[float, float], *, at_um: float | None, say: Say = unheard
) -> FoundFocus:
    """Look for focus within a range; the axis ends there.

    Raises NoFocusError where none can be trusted.
    """
    with opened(rig, at_um, say=say) as devices:
        return find_focus(devices, rig, range_um, say=say)


def snap(rig: Rig, exposure: LockedAutoExposure | ManualExposure) -> Frame:
    """Take a frame with a camera that nobody else uses; the axis is not touched."""
    halt = Halt()
    with (
        _told_as_asked(halt),
        StopSignals(lambda signal: halt.request(f"stopped by {signal}")),
        Spool(rig.paths.state),
        open_camera(rig) as camera,
    ):
        halt.listen(camera.cancel)
        camera.lock_exposure(exposure)
        return camera.capture(after_ns=make_clock(rig).monotonic_ns())


@contextmanager
def opened(
    rig: Rig,
    at_um: float | None,
    *,
    referenced: bool = True,
    hold: Hold = alone,
    say: Say = unheard,
) -> Iterator[Devices]:
    """Open the whole rig while nobody else uses it; a signal stops the motor, as does the holder.

    Unless told otherwise, the axis is referenced (by the operator's word, where `at_um` is given)
    and the exposure is locked.
    """
    halt = Halt()
    say("opening the rig")
    with (
        hold(rig, halt),
        _told_as_asked(halt),
        StopSignals(lambda signal: halt.request(f"stopped by {signal}")),
        open_devices(rig) as devices,
        motor_stops_with(halt, devices),
    ):
        if referenced:
            if at_um is not None:
                devices.axis.confirm(at_um)
            say("referencing the axis")
            reference_axis(devices.axis, rig.focus)
            say("locking the exposure")
            devices.camera.lock_exposure(LockedAutoExposure())
        yield devices


@contextmanager
def _told_as_asked(halt: Halt) -> Iterator[None]:
    """Inside, what a stop interrupts ends with the reason of the stop, not in a device's words."""
    try:
        yield
    except Interrupted:
        halt.check()  # it knows by whom
        raise


@contextmanager
def _referenced(rig: Rig, at_um: float | None) -> Iterator[FocusAxis]:
    with _held(rig) as axis:
        if at_um is not None:
            axis.confirm(at_um)
        try:
            reference_axis(axis, rig.focus)
            yield axis
        except LimitError as error:
            raise InputError(str(error)) from error
        except UnreferencedError as error:
            raise UnreferencedError(f"{error} (--at-um UM)") from error


@contextmanager
def _held(rig: Rig) -> Iterator[FocusAxis]:
    """Open the axis while nobody else uses the rig; SIGTERM and Ctrl-C stop the motor."""
    with Spool(rig.paths.state), open_axis(rig) as axis, _stopped_by_signals(axis):
        yield axis


@contextmanager
def _stopped_by_signals(axis: FocusAxis) -> Iterator[None]:
    left = threading.Event()
    heard: list[str] = []

    def stop_again_and_again(name: str) -> None:
        # A stop between two motions would be missed by the second.
        heard.append(name)
        while not left.is_set():
            with suppress(HardwareError):
                axis.stop()
            left.wait(_AGAIN_S)

    with StopSignals(stop_again_and_again):
        try:
            yield
        finally:
            left.set()
    if heard:
        raise Interrupted(f"stopped by {heard[0]}")
