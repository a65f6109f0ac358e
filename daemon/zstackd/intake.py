"""From the inbox to the queue: run files are judged as they arrive, also while a run goes on."""

import logging
import queue
import threading
from pathlib import Path

from zstackd.halt import Halt
from zstackd.inbox import Inbox, require_regular
from zstackd.plan import plan_run
from zstackd.spool import RunFolder, Spool
from zstackd_config.errors import StorageError, ZstackdError
from zstackd_config.load import load_run
from zstackd_config.rig import Rig

SCAN_S = 5.0
SOON_S = 0.25
_log = logging.getLogger(__name__)

Queue = queue.SimpleQueue[RunFolder | None]
"""Accepted runs in order of arrival; None only wakes who waits."""


class Intake:
    """Takes complete run files from the inbox into the spool, and answers bad ones."""

    def __init__(self, rig: Rig, spool: Spool, accepted: Queue, stop: Halt) -> None:
        self._rig = rig
        self._spool = spool
        self._accepted = accepted
        self._stop = stop
        self._wake = threading.Event()

    def run(self) -> None:
        """Take what comes until stopped."""
        self._stop.listen(self._wake.set)
        with Inbox(self._spool.inbox, self._wake) as inbox:
            while not self._stop.event.is_set():
                self._wake.clear()
                self._accept(inbox)
                if not self._stop.event.is_set():
                    self._wake.wait(SOON_S if inbox.is_waiting() else SCAN_S)

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
        self._accepted.put(folder)
