"""What the running service shows to the outside: the control API, systemd's notices, reloading."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from zstackd.api.app import create_app
from zstackd.api.metrics import Metrics
from zstackd.api.recent import RecentMessages
from zstackd.api.server import ApiServer
from zstackd.api.sockets import socket_path
from zstackd.runs.worker import Worker
from zstackd.service.control import Control, Reloaded
from zstackd.service.house import House
from zstackd.service.status_line import status_line
from zstackd.system.notify import Notifier, Watchdog, watchdog_interval_s
from zstackd_config.doubts import doubts
from zstackd_config.errors import InputError, ZstackdError
from zstackd_config.load import load_rig, read_document, told_at
from zstackd_config.rig import Rig

_LOOK_S: Final = 1.0
_PATIENCE_S: Final = 3.0
_log = logging.getLogger(__name__)


@dataclass
class Reloading:
    """Takes a valid new rig file, and keeps the old settings where the new one is bad."""

    control: Control
    rig_file: Path
    notifier: Notifier
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> Reloaded:
        """Read the rig file again and return what changed; raises what is wrong with it."""
        with self._lock:
            self.notifier.reloading()
            try:
                rig = load_rig(self.rig_file)
                doubted = doubts(rig, self.rig_file)
                taken = self._taken(rig)
                changed = ", ".join(taken.changes) or "no change"
                note = f"; {taken.note}" if taken.note else ""
                _log.info("read %s again: %s%s", self.rig_file, changed, note)
                for doubt in doubted:
                    _log.warning("%s", doubt)
            except ZstackdError as error:
                _log.error("%s is not taken, the old settings stay: %s", self.rig_file, error)
                raise
            finally:
                self.notifier.ready(status_line(self.control.status()))
            return taken

    def _taken(self, rig: Rig) -> Reloaded:
        """Give the settings to the service; raises with the place of what it does not take."""
        try:
            return self.control.reload(rig)
        except InputError as error:
            content = read_document(self.rig_file)
            raise InputError(told_at(self.rig_file, content, str(error))) from error


class Front:
    """The outside of one service; entered around its work, opened once runs can be accepted.

    Whoever sets `hung_up` (SIGHUP does) has the rig file read again in the background.
    """

    def __init__(
        self, house: House, control: Control, reload: Reloading, hung_up: threading.Event
    ) -> None:
        self._house = house
        self._control = control
        self._reload = reload
        self._hung_up = hung_up
        self._notifier = reload.notifier
        self._interval_s = watchdog_interval_s()
        self._messages = RecentMessages()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self._messages)
        self._stack.callback(logging.getLogger().removeHandler, self._messages)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def open(self) -> None:
        """Answer clients and tell systemd that the service is ready; raises where it cannot."""
        self._stack.enter_context(self._served())
        self._stack.enter_context(
            Watchdog(self._notifier, self._control.overdue_s, self._interval_s)
        )
        self._notifier.ready(status_line(self._control.status()))
        telling = Worker("status", self._tell, self._house.stop)
        telling.start()
        self._stack.callback(lambda: telling.join(time.monotonic() + _PATIENCE_S))

    @contextmanager
    def _served(self) -> Iterator[None]:
        metrics = Metrics(self._control)
        app = create_app(
            self._control, reload=self._reload, messages=self._messages, metrics=metrics
        )
        house = self._house
        api = house.rig.api
        beat = house.pulses.of("api").beat
        path = socket_path(api, house.spool.state)
        try:
            with metrics, ApiServer(app, path=path, tcp=api.tcp, beat=beat):
                yield
        finally:
            house.pulses.end("api")

    def _tell(self) -> None:
        """Keep systemd's status line true, and reload when asked to, until stopped."""
        pulse = self._house.pulses.of("status")
        while not self._house.stop.event.wait(_LOOK_S):
            pulse.beat()
            self._look()
        self._notifier.stopping(str(self._house.stop.cause))

    def _look(self) -> None:
        self._notifier.status(status_line(self._control.status()))
        if self._hung_up.is_set():
            self._hung_up.clear()
            try:
                self._reload()
            except ZstackdError:
                return  # said in the log already; the old settings stay
