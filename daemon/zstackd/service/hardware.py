"""The devices of the rig: opened once they are there, reopened after trouble, lent to one user."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, TypeVar

from zstackd.runs.halt import Halt
from zstackd.runs.safety import BETWEEN_PLANES
from zstackd.runs.worker import Worker
from zstackd.service.lease import Lease, RigBusy
from zstackd.service.loan import Loan
from zstackd.service.retries import Retries
from zstackd_config.errors import HardwareError, Interrupted, ZstackdError
from zstackd_config.rig import Rig
from zstackd_config.run import LockedAutoExposure
from zstackd_drivers.axis import AxisSnapshot
from zstackd_drivers.camera import CameraInfo
from zstackd_drivers.errors import CameraError, CameraHung, CameraTimeout
from zstackd_drivers.factory import Devices, open_devices, settings_of_devices

HUNG_S: Final = 120.0
"""How long a process that found the camera hung, as the one before it did, stays to say so."""

OPENING_S: Final = 30.0
"""How long the end of an attempt to open the rig is waited for, by who wants to borrow it."""

_LOOK_S: Final = 0.2
"""Longer than it takes to look whether open devices are still well."""

_log = logging.getLogger(__name__)
T = TypeVar("T")


class NotReady(HardwareError):
    """The devices are not open."""


class Hardware:
    """Owns the open devices; safe from any thread.

    Whoever uses them holds the lease (`lent`, `glimpsed`); another program may have it for a while
    (`lend`), with the devices closed. `trouble` says why they are not open,
    `opening` that this is about to be tried. `faults` counts how often they failed since the start,
    `cameras_opened` how often the camera was opened: each time it has forgotten its exposure.
    """

    def __init__(self, rig: Rig, stop: Halt | None = None) -> None:
        self._rig = self._next_rig = rig
        self._stop = stop or Halt()
        self._lease = Lease()
        self._loan: Loan | None = None
        self._asked = threading.Lock()
        self._stack = ExitStack()
        self._devices: Devices | None = None
        self._camera: CameraInfo | None = None
        self._fault_when_opened: str | None = None
        self._camera_cancelled = False
        self._retries = Retries()
        self._trouble: str | None = "opening the rig"
        self._hung: CameraHung | None = None
        self._hung_until_s = 0.0
        self._must_prove_camera = False
        self.opening = True
        self.faults = 0
        self.cameras_opened = 0

    @property
    def rig(self) -> Rig:
        """The settings in force."""
        return self._rig

    @property
    def next_rig(self) -> Rig:
        """The settings in force once the devices are given back."""
        return self._next_rig

    @property
    def trouble(self) -> str | None:
        """Why the devices are not open; None where they are."""
        return self._trouble

    @property
    def loan(self) -> Loan | None:
        """To whom the rig is lent, so that the devices are closed; None where it is not."""
        return self._loan

    def axis(self) -> AxisSnapshot | None:
        """Return the focus axis as last reported; None where it is not open."""
        devices = self._devices
        return None if devices is None else devices.axis.snapshot()

    def camera(self) -> CameraInfo | None:
        """Return what the open camera delivers; None where it is not open.

        Known since it was opened: whoever has the lease may just be opening it anew.
        """
        return None if self._devices is None else self._camera

    def step_um(self) -> float | None:
        """Return what a motor step moves; None where the axis is not open."""
        devices = self._devices
        return None if devices is None else devices.axis.step_um

    @contextmanager
    def lent(self) -> Iterator[Devices]:
        """Lend the open devices to the caller alone.

        Raises RigBusy where they are lent, NotReady where they are not there. An error
        inside closes them: they may have been stopped.
        """
        # Not at once: the service itself looks after the devices now and then.
        if not self._lease.take(_LOOK_S):
            raise self._refused("wait for its end, or cancel it")
        with self._used() as devices:
            yield devices

    @contextmanager
    def glimpsed(self) -> Iterator[Devices]:
        """Lend the devices to somebody who moves nothing and gives them back within seconds.

        Raises as `lent`; also where somebody waits for them. Who wants them meanwhile, waits.
        """
        if not self._lease.glimpse():
            raise self._refused("look again after it")
        with self._used() as devices:
            yield devices

    def lend(self, to: str) -> Loan:
        """Close the devices and leave them to another program, until it or the service ends.

        They are opened anew afterwards, as after any trouble: nobody knows what was done with the
        axis. Devices that are just being opened are waited for. Raises RigBusy where they are in
        use, Interrupted where the service stops.
        """
        if not self._asked.acquire(blocking=False):
            raise RigBusy("another program asks for the rig already; try again after it")
        try:
            self._take_once_opened()
        finally:
            self._asked.release()
        self._loan = loan = Loan(to, self._stop, self._given_back)
        try:
            self._close(f"lent {loan}")
        except BaseException:
            loan.end()
            raise
        loan.begin()
        return loan

    def _given_back(self, loan: Loan) -> None:
        """Take the rig back; `keep` opens it again."""
        self._trouble = "opening the rig again after it was lent"
        self._retries.reset()
        _log.info("the loan to %s has ended after %.1f s", loan.to, loan.seconds)
        self._loan = None
        self._lease.give_back()

    def _take_once_opened(self) -> None:
        """Take the lease at once, or after an attempt to open the devices."""
        end_s = time.monotonic() + OPENING_S
        while not self._lease.take(_LOOK_S):
            self._stop.check()
            is_opening = self._devices is None and self._loan is None
            if not is_opening or time.monotonic() > end_s:
                raise self._refused("wait for its end, or cancel it")

    def _refused(self, then: str) -> RigBusy | NotReady:
        """Return why the rig is not lent: it is in use, or, without devices, on the way to be."""
        loan = self._loan
        if loan is not None:
            return RigBusy(f"the rig is lent {loan}; wait for its end, or end that program")
        if self._devices is None:
            return NotReady("the rig is not ready: it is being opened; try again in a moment")
        return RigBusy(f"the rig is busy with a run or a move; {then}")

    @contextmanager
    def _used(self) -> Iterator[Devices]:
        """Give the devices to whoever has the lease, and the lease back at the end."""
        try:
            self._open_cancelled_camera()
            devices = self._devices
            if devices is None:
                raise NotReady(f"the rig is not ready: {self._trouble}")
            try:
                yield devices
            except BETWEEN_PLANES:
                raise
            except BaseException as error:
                self._note(error)
                raise
        finally:
            self._lease.give_back()

    def keep(self) -> bool:
        """Open the devices where they are not open and it is time; return whether they are.

        Returns at once while they are lent, but for a glimpse. Devices that lost their link are
        closed and opened. Raises CameraHung for good where only a new process may help: at once
        where the camera worked before, after HUNG_S where it never has.
        """
        if self._hung is not None and time.monotonic() >= self._hung_until_s:
            raise self._hung
        if self._hung is not None:
            return False
        if not self._lease.take():
            return self._devices is not None
        try:
            self._take_settings()
            self._notice_fault()
            self._open_cancelled_camera()
            if self._devices is None and self._retries.due(self._rig):
                self._open()
            return self._devices is not None
        except Interrupted:
            return False
        finally:
            self._lease.give_back()

    def distrust_camera(self) -> None:
        """Take a frame before the rig counts as open: the last process ended by a hung camera."""
        self._must_prove_camera = True

    def stop_motion(self, why: str) -> None:
        """Stop the motor of whoever uses the devices, or has borrowed them; harmless otherwise."""
        devices, loan = self._devices, self._loan
        if devices is not None:
            devices.axis.stop()
        if loan is not None:
            loan.recalled.request(why)

    def replace(self, rig: Rig) -> None:
        """Use other settings as soon as the devices are given back."""
        self._next_rig = rig

    def close(self) -> None:
        """Close the devices."""
        self._lease.take_at_last()
        try:
            self._close("closed")
        finally:
            self._lease.give_back()

    def _take_settings(self) -> None:
        before, self._rig = self._rig, self._next_rig
        if self._rig is before:
            return
        # An axis that is opened anew has lost its position.
        if settings_of_devices(self._rig) != settings_of_devices(before):
            self._close("opening the rig with its new settings")
            self._retries.reset()
        _log.info("new settings of %s are in force", self._rig.name)

    def _note(self, error: BaseException) -> None:
        """Note what has to be opened again: a stop leaves the camera cancelled, a fault more.

        It is opened before its next use, not now: a service that stops must not wait for that.
        """
        if isinstance(error, CameraHung):
            self._hung = error
        is_fault = isinstance(error, HardwareError) and error.is_fault
        if is_fault or self._fault() != self._fault_when_opened:
            self.faults += 1
            self._close("opening the rig again after an error")
        else:
            self._camera_cancelled = True

    def _open_cancelled_camera(self) -> None:
        if self._devices is None or not self._camera_cancelled:
            return
        camera = self._devices.camera

        def open_again() -> None:
            camera.__exit__(None, None, None)
            camera.__enter__()
            self.cameras_opened += 1

        try:
            self._unless_stopped(open_again)
            self._camera_cancelled = False
        except Interrupted:
            # Its thread still has the camera: the end of the process closes it.
            self._stack.pop_all()
            raise
        except CameraHung as error:
            self._hung = error
            raise
        except ZstackdError as trouble:
            self._close(str(trouble))

    def _unless_stopped(self, act: Callable[[], T]) -> T:
        """Return what `act` returns; it may wait long for a device, so a stop leaves it behind."""
        halt = Halt()
        worker = Worker("opening the rig", act, halt)
        with halt.following(self._stop):
            worker.start()
            return worker.result()

    def _fault(self) -> str | None:
        return None if self._devices is None else self._devices.axis.snapshot().fault

    def _notice_fault(self) -> None:
        fault = self._fault()
        if self._devices is not None and fault != self._fault_when_opened:
            self.faults += 1
            _log.warning("the focus axis: %s; opening the rig again", fault)
            self._close(fault or "opening the rig again")

    def _open(self) -> None:
        self._retries.begin(self._rig)
        try:
            devices = self._unless_stopped(self._opened)
            self._camera = devices.camera.info()
            self._devices = devices
            self.cameras_opened += 1
        except Interrupted:
            raise
        except CameraHung as error:
            self._hung = error
            if not self._must_prove_camera:
                raise
            self._hung_until_s = time.monotonic() + HUNG_S
            self._say(f"{error}; a new process tries again in {HUNG_S:g} s")
            return
        except ZstackdError as error:
            self._say(str(error))
            self._retries.failed()
            return
        _log.info("the rig is ready: %s", devices.axis.identity())
        self._retries.reset()
        self._trouble, self._must_prove_camera, self.opening = None, False, False
        self._fault_when_opened = self._fault()

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            self.faults += 1
            _log.error("the rig is not ready: %s; trying again until it is", trouble)
        self._trouble, self.opening = trouble, False

    def _opened(self) -> Devices:
        with ExitStack() as stack:
            devices = stack.enter_context(open_devices(self._rig))
            if self._must_prove_camera:
                _prove(devices)
            self._stack = stack.pop_all()
        return devices

    def _close(self, why: str) -> None:
        self._devices = None
        self._camera_cancelled = False
        self._trouble, self.opening = why, True
        try:
            self._stack.close()
        except ZstackdError as error:
            _log.warning("while closing the rig: %s", error)


def _prove(devices: Devices) -> None:
    """Take a frame; raises CameraHung where none comes. A camera that only refuses is alive."""
    camera = devices.camera
    try:
        camera.lock_exposure(LockedAutoExposure(mode="locked_auto"))
        camera.preview(after_ns=devices.clock.monotonic_ns())
    except CameraHung:
        raise
    except (CameraError, CameraTimeout) as error:
        _log.warning("the camera hung before, now it says: %s", error)
