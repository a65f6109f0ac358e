"""The service: runs what was accepted, in order, and outlives what fails."""

import logging
import queue
import time
from contextlib import ExitStack
from pathlib import Path

from zstackd.halt import Halt
from zstackd.intake import Intake, Queue
from zstackd.progress import nobody
from zstackd.runner import run_accepted
from zstackd.spool import RunFolder, Spool
from zstackd.worker import Worker
from zstackd_config.errors import Interrupted, ZstackdError
from zstackd_config.rig import Rig
from zstackd_drivers.factory import Devices, open_devices

RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_PATIENCE_S = 3.0
_log = logging.getLogger(__name__)


class Service:
    """One rig's service; `stop` ends it, whatever it is doing."""

    def __init__(self, rig: Rig, spool: Spool, output: Path, stop: Halt) -> None:
        self._rig = rig
        self._spool = spool
        self._output = output
        self._stop = stop
        self._hardware = _Hardware(rig)
        self._accepted: Queue = queue.SimpleQueue()

    def run(self) -> None:
        """Serve until stopped; raises what ended it, if it was not asked to stop."""
        for run in self._spool.open_runs():
            self._accepted.put(run.folder)
        self._stop.listen(lambda: self._accepted.put(None))
        intake = Intake(self._rig, self._spool, self._accepted, self._stop)
        taking = Worker("inbox", intake.run, self._stop)
        _log.info("serving %s: drop run files into %s", self._rig.name, self._spool.inbox)
        taking.start()
        with self._hardware:
            while not self._stop.event.is_set():
                self._work()
        taking.join(time.monotonic() + _PATIENCE_S)
        cause = self._stop.cause
        if cause is not None and not isinstance(cause, Interrupted):
            raise cause
        _log.info("stopped")

    def _work(self) -> None:
        """Do the next accepted run; a rig that went away while waiting is waited for again."""
        self._ready()
        folder = self._accepted.get()
        devices = self._ready()
        if folder is not None and devices is not None:
            self._do(folder, devices)

    def _ready(self) -> Devices | None:
        """Return the open devices, trying until they are there; None once stopped."""
        while not self._stop.event.is_set():
            devices = self._hardware.devices()
            if devices is not None:
                return devices
            self._stop.event.wait(self._hardware.retry_s)
        return None

    def _do(self, folder: RunFolder, devices: Devices) -> None:
        halt = Halt()

        def pass_on() -> None:
            halt.request(str(self._stop.cause))

        self._stop.listen(pass_on)
        try:
            published = run_accepted(
                folder, rig=self._rig, devices=devices, output=self._output, halt=halt, tell=nobody
            )
            _log.info("%s: published %s", folder.run_id, published.folder)
        except Interrupted as error:
            _log.warning("%s: interrupted: %s", folder.run_id, error)
            self._hardware.close()
        except ZstackdError as error:
            _log.error("%s: failed: %s", folder.run_id, error)
            self._hardware.close()
        except Exception:  # noqa: BLE001 - one run must not end the service
            _log.exception("%s: failed by an internal error", folder.run_id)
            self._hardware.close()
        finally:
            self._stop.unlisten(pass_on)


class _Hardware:
    """The devices of the rig, opened when they are there and opened again after trouble."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._stack = ExitStack()
        self._devices: Devices | None = None
        self._fault_when_opened: str | None = None
        self._failures = 0
        self._said = ""

    def __enter__(self) -> None:
        """Open nothing yet: missing hardware must not end the service."""

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def retry_s(self) -> float:
        """Return the seconds to wait before the next attempt, longer with every failure."""
        return RETRY_S[min(max(self._failures - 1, 0), len(RETRY_S) - 1)]

    def devices(self) -> Devices | None:
        """Return the open devices, opening them if need be; None where they are not there."""
        if self._devices is not None and self._fault() != self._fault_when_opened:
            _log.warning("the focus axis: %s; opening the rig again", self._fault())
            self.close()
        if self._devices is None:
            self._open()
        return self._devices

    def _open(self) -> None:
        try:
            self._devices = self._stack.enter_context(open_devices(self._rig))
        except ZstackdError as error:
            self._failures += 1
            if str(error) != self._said:
                _log.error("the rig is not ready: %s; trying again until it is", error)
            self._said = str(error)
            return
        _log.info("the rig is ready: %s", self._devices.axis.identity())
        self._failures, self._said = 0, ""
        self._fault_when_opened = self._fault()

    def _fault(self) -> str | None:
        return None if self._devices is None else self._devices.axis.snapshot().fault

    def close(self) -> None:
        """Close the devices; the next run opens them again."""
        self._devices = None
        try:
            self._stack.close()
        except ZstackdError as error:
            _log.warning("while closing the rig: %s", error)
