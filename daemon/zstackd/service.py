"""The service: takes run files from the inbox, runs them in order, and outlives what fails."""

import logging
import threading
from collections import deque
from contextlib import ExitStack
from pathlib import Path

from zstackd.halt import Halt
from zstackd.inbox import Inbox, require_regular
from zstackd.plan import plan_run
from zstackd.progress import nobody
from zstackd.runner import run_accepted
from zstackd.spool import RunFolder, Spool
from zstackd_config.errors import Interrupted, StorageError, ZstackdError
from zstackd_config.load import load_run
from zstackd_config.rig import Rig
from zstackd_drivers.factory import Devices, open_devices

SCAN_S = 5.0
SOON_S = 0.25
RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_log = logging.getLogger(__name__)


class Service:
    """One rig's service; `stop` ends it, whatever it is doing."""

    def __init__(self, rig: Rig, spool: Spool, output: Path, stop: Halt) -> None:
        self._rig = rig
        self._spool = spool
        self._output = output
        self._stop = stop
        self._wake = threading.Event()
        self._hardware = _Hardware(rig)
        self._queue: deque[RunFolder] = deque()

    def run(self) -> None:
        """Serve until stopped; runs that were accepted earlier come first."""
        self._queue.extend(run.folder for run in self._spool.open_runs())
        self._stop.listen(self._wake.set)
        _log.info("serving %s: drop run files into %s", self._rig.name, self._spool.inbox)
        with Inbox(self._spool.inbox, self._wake) as inbox, self._hardware:
            while not self._stop.event.is_set():
                self._wake.clear()
                self._accept(inbox)
                wait_s = self._work()
                if wait_s and not self._stop.event.is_set():
                    self._wake.wait(min(wait_s, SOON_S if inbox.is_waiting() else SCAN_S))
        _log.info("stopped; %d accepted runs wait for the next start", len(self._queue))

    def _accept(self, inbox: Inbox) -> None:
        for path in inbox.complete():
            if self._stop.event.is_set():
                return
            try:
                self._take(inbox, path)
            except FileNotFoundError:
                _log.info("inbox: %s was taken back", path.name)
            except StorageError as error:
                _log.error("inbox: %s stays where it is: %s", path.name, error)
                inbox.leave(path)

    def _take(self, inbox: Inbox, path: Path) -> None:
        try:
            require_regular(path)
            run = load_run(path)
            plan_run(self._rig, run, source=path.name)
        except ZstackdError as error:
            inbox.refuse(path, str(error))
            return
        folder = self._spool.accept(path, name=run.name, keep=False)
        _log.info("accepted %s as %s", path.name, folder.run_id)
        self._queue.append(folder)

    def _work(self) -> float:
        """Do the next run, if there is one; return how many seconds to wait before going on."""
        devices = self._hardware.devices()
        if devices is None:
            return self._hardware.retry_s
        if not self._queue:
            return SCAN_S
        self._do(self._queue.popleft(), devices)
        return 0.0

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
