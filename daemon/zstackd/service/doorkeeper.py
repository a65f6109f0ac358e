"""From the inbox to the queue: run files are judged as they arrive, also while a run goes on."""

import logging
import threading
from pathlib import Path

from zstackd.runs.halt import Halt
from zstackd.runs.pulse import Pulse
from zstackd.service.inbox import Inbox, require_regular
from zstackd.service.reception import Reception
from zstackd.store.durable import storage_at
from zstackd_config.errors import StorageError, ZstackdError
from zstackd_config.lines import one_line

SCAN_S = 5.0
SOON_S = 0.25
_log = logging.getLogger(__name__)


class Doorkeeper:
    """Takes complete run files from the inbox into the spool, and answers bad ones."""

    def __init__(self, folder: Path, reception: Reception, stop: Halt, pulse: Pulse) -> None:
        self._folder = folder
        self._reception = reception
        self._stop = stop
        self._pulse = pulse
        self._wake = threading.Event()

    def run(self) -> None:
        """Take what comes until stopped; a folder that is away is waited for, one removed made."""
        self._stop.listen(self._wake.set)
        said = None
        while not self._stop.event.is_set():
            try:
                with storage_at(self._folder):
                    self._folder.mkdir(exist_ok=True)
                    with Inbox(self._folder, self._wake) as inbox:
                        said = None
                        self._watch(inbox)
            except StorageError as error:
                if str(error) != said:
                    _log.error("inbox: no run files are taken: %s", error)
                said = str(error)
                self._pulse.beat()
                self._stop.event.wait(SCAN_S)

    def _watch(self, inbox: Inbox) -> None:
        """Take what comes until stopped; raises OSError where the folder cannot be read."""
        while not self._stop.event.is_set():
            self._wake.clear()
            self._pulse.beat()
            self._accept(inbox)
            if not self._stop.event.is_set():
                self._wake.wait(SOON_S if inbox.is_waiting() else SCAN_S)

    def _accept(self, inbox: Inbox) -> None:
        for path in inbox.complete():
            if self._stop.event.is_set():
                return
            self._pulse.beat()
            try:
                self._take(inbox, path)
            except FileNotFoundError:
                _log.info("inbox: %s was taken back", one_line(path.name))
            except (StorageError, OSError) as error:
                if inbox.leave(path):
                    _log.error("inbox: %s waits where it is: %s", one_line(path.name), error)

    def _take(self, inbox: Inbox, path: Path) -> None:
        try:
            require_regular(path)
            self._reception.take_file(path)
        except StorageError:
            raise
        except ZstackdError as error:
            inbox.refuse(path, str(error))
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - one file must not keep the others
            _log.exception("inbox: %s met an internal error", one_line(path.name))
            kind = type(error).__name__
            inbox.refuse(path, f"{path.name}: internal error: {kind}: {error}; report it")
