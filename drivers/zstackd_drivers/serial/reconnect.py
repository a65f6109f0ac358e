"""A lost line is opened again by itself, with growing pauses; nothing moves by itself."""

import logging
import threading
from collections.abc import Callable

from zstackd_config.errors import HardwareError

_log = logging.getLogger(__name__)
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 8.0


class Reconnector:
    """Calls `attempt` from a thread of its own until it works, each time `wake` was called.

    `needed` tells whether there is anything to do; `attempt` raises HardwareError where it fails.
    """

    def __init__(self, *, needed: Callable[[], bool], attempt: Callable[[], None]) -> None:
        self._needed = needed
        self._attempt = attempt
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch from now on."""
        self._closing.clear()
        self._woken.clear()
        self._thread = threading.Thread(target=self._run, name="reconnect", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look now whether the line is lost; safe from any thread."""
        self._woken.set()

    def stop(self) -> None:
        """End; an attempt in progress is waited for."""
        self._closing.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()
        self._thread = None

    def _run(self) -> None:
        while not self._closing.is_set():
            self._woken.wait()
            self._woken.clear()
            try:
                self._until_connected()
            except Exception:  # noqa: BLE001 - the edge of the thread
                _log.exception("reconnecting failed")

    def _until_connected(self) -> None:
        pause_s, told = FIRST_PAUSE_S, False
        while not self._closing.is_set() and self._needed():
            try:
                self._attempt()
            except HardwareError as error:
                _log.log(logging.DEBUG if told else logging.WARNING, "not connected yet: %s", error)
                told = True
                self._closing.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
