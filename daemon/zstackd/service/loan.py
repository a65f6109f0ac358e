"""The rig in the hands of another program, which opens the devices for itself meanwhile."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from zstackd.runs.halt import Halt


class Loan:
    """Begun by `Hardware.lend`; over once `end` is called, or `stop` comes. Safe from any thread.

    `to` names the borrower. `recalled` is the word to the borrower that its motor is to stop and
    the rig to come back. That alone ends no loan: the devices may still be open there.
    """

    def __init__(self, to: str, stop: Halt, give_back: Callable[["Loan"], None]) -> None:
        self.to = to
        self.since = datetime.now(UTC)
        self._begun_s = time.monotonic()
        self.recalled = Halt()
        self._stop = stop
        self._give_back = give_back
        self._lock = threading.Lock()
        self._over = False

    def __str__(self) -> str:
        return f"to {self.to} since {self.since.astimezone():%Y-%m-%d %H:%M:%S}"

    @property
    def over(self) -> bool:
        """Whether the rig was given back."""
        with self._lock:
            return self._over

    @property
    def seconds(self) -> float:
        """How long ago it was begun."""
        return time.monotonic() - self._begun_s

    def begin(self) -> None:
        """Let the stop of the service end it from now on; at once where it has come already."""
        self._stop.listen(self._stopped)

    def end(self) -> None:
        """Give the rig back; harmless where that was done. Returns at once."""
        with self._lock:
            over, self._over = self._over, True
        if not over:
            self._stop.unlisten(self._stopped)
            self._give_back(self)

    def _stopped(self) -> None:
        self.end()
        self.recalled.request(f"the service ended: {self._stop.cause}")
