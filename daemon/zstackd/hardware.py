"""The devices of the rig: opened once they are there, reopened after trouble, lent to one user."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from zstackd_config.errors import HardwareError, InputError, ZstackdError
from zstackd_config.rig import Rig
from zstackd_drivers.axis import AxisSnapshot
from zstackd_drivers.camera import CameraInfo
from zstackd_drivers.factory import Devices, open_devices

RETRY_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses between attempts to open what is not there; the last one is kept."""

_log = logging.getLogger(__name__)


class RigBusy(InputError):
    """Something else uses the rig."""


class Hardware:
    """Owns the open devices; safe from any thread.

    Whoever uses them holds the lease (`lent`). `trouble` says why they are not open.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._lease = threading.Lock()
        self._stack = ExitStack()
        self._devices: Devices | None = None
        self._fault_when_opened: str | None = None
        self._failures = 0
        self._retry_at_s = 0.0
        self._trouble: str | None = "not opened yet"

    @property
    def rig(self) -> Rig:
        """The settings in force."""
        return self._rig

    @property
    def trouble(self) -> str | None:
        """Why the devices are not open; None where they are."""
        return self._trouble

    def axis(self) -> AxisSnapshot | None:
        """Return the focus axis as last reported; None where it is not open."""
        devices = self._devices
        return None if devices is None else devices.axis.snapshot()

    def camera(self) -> CameraInfo | None:
        """Return what the open camera delivers; None where it is not open."""
        devices = self._devices
        return None if devices is None else devices.camera.info()

    @contextmanager
    def lent(self) -> Iterator[Devices]:
        """Lend the open devices to the caller alone.

        Raises RigBusy where they are lent, HardwareError where they are not there. An error
        inside closes them: they may have been stopped.
        """
        if not self._lease.acquire(blocking=False):
            raise RigBusy("the rig is busy with a run or a move; wait for its end, or cancel it")
        try:
            devices = self._devices
            if devices is None:
                raise HardwareError(f"the rig is not ready: {self._trouble}")
            try:
                yield devices
            except BaseException:
                self._close("opening the rig again after an error")
                raise
        finally:
            self._lease.release()

    def keep(self) -> bool:
        """Open the devices where they are not open and it is time; return whether they are.

        Returns at once while they are lent. Devices that lost their link are closed and opened.
        """
        if not self._lease.acquire(blocking=False):
            return self._devices is not None
        try:
            self._notice_fault()
            if self._devices is None and time.monotonic() >= self._retry_at_s:
                self._open()
            return self._devices is not None
        finally:
            self._lease.release()

    def replace(self, rig: Rig) -> None:
        """Use other settings from now on; waits until the devices are given back."""
        with self._lease:
            self._close("opening the rig with its new settings")
            self._rig = rig
            self._retry_at_s = 0.0

    def close(self) -> None:
        """Close the devices."""
        with self._lease:
            self._close("closed")

    def _notice_fault(self) -> None:
        if self._devices is None:
            return
        fault = self._devices.axis.snapshot().fault
        if fault != self._fault_when_opened:
            _log.warning("the focus axis: %s; opening the rig again", fault)
            self._close(fault or "opening the rig again")

    def _open(self) -> None:
        try:
            self._devices = self._stack.enter_context(open_devices(self._rig))
        except ZstackdError as error:
            if str(error) != self._trouble:
                _log.error("the rig is not ready: %s; trying again until it is", error)
            self._trouble = str(error)
            self._retry_at_s = time.monotonic() + RETRY_S[min(self._failures, len(RETRY_S) - 1)]
            self._failures += 1
            return
        _log.info("the rig is ready: %s", self._devices.axis.identity())
        self._failures, self._trouble = 0, None
        self._fault_when_opened = self._devices.axis.snapshot().fault

    def _close(self, why: str) -> None:
        self._devices = None
        self._trouble = why
        try:
            self._stack.close()
        except ZstackdError as error:
            _log.warning("while closing the rig: %s", error)
