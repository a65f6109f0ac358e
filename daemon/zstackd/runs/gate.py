"""Pause and resume between planes and between runs."""

import threading
from collections.abc import Callable
from typing import Final, Literal

from zstackd.runs.halt import Halt

_LOOK_S: Final = 1.0


class Gate:
    """Shut by an operator; whoever comes to it waits until it is opened or the run is stopped.

    `of` says what it holds up: one run, or the whole service.
    """

    def __init__(self, of: Literal["run", "service"] = "run") -> None:
        self.of: Final = of
        self._changed = threading.Condition()
        self._reason: str | None = None

    @property
    def reason(self) -> str | None:
        """Why it is shut; None while it is open."""
        with self._changed:
            return self._reason

    def shut(self, reason: str) -> None:
        """Let nobody through from now on."""
        with self._changed:
            self._reason = reason

    def open(self) -> None:
        """Let everybody through."""
        with self._changed:
            self._reason = None
            self._changed.notify_all()

    def wait(self, halt: Halt, beat: Callable[[], None]) -> None:
        """Return once open; raises what stopped the run. Calls `beat` now and then meanwhile."""
        halt.listen(self._wake)
        try:
            with self._changed:
                while self._reason is not None and not (halt.event.is_set() or halt.cancelled):
                    beat()
                    self._changed.wait(_LOOK_S)
        finally:
            halt.unlisten(self._wake)
        halt.check_between()

    def wake(self) -> None:
        """Let those who wait look whether their run was cancelled."""
        self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
