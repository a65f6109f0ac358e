"""Housekeeping while the service runs: consumed results are noted, old things make room."""

import time
from typing import Final

from zstackd.runs.pulse import Pulse
from zstackd.service.house import House
from zstackd.service.outbox import Outbox
from zstackd.service.retention import Sweeper

LOOK_S: Final = 2.0
SWEEP_S: Final = 60.0


class Keeper:
    """Looks at the output folder often, and at ages and sizes now and then."""

    def __init__(self, house: House, pulse: Pulse) -> None:
        self._house = house
        self._pulse = pulse
        self._outbox = Outbox(house)
        self._sweeper = Sweeper(house)

    def run(self) -> None:
        """Do so until the service stops."""
        self._sweeper.finish()
        next_sweep_s = 0.0
        while not self._house.stop.event.is_set():
            self._pulse.beat()
            self._outbox.look()
            if time.monotonic() >= next_sweep_s:
                self._pulse.beat(expected_s=SWEEP_S)
                self._sweeper.sweep()
                next_sweep_s = time.monotonic() + SWEEP_S
            self._house.stop.event.wait(LOOK_S)
