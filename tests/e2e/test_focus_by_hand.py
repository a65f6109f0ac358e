"""`zstackd focus` as a process: a signal stops the motor, and so does a lost terminal."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Site

SLOW = {"limits_um": [-100, 10_000], "speed_um_per_s": 200}
MOST_S = 0.5
TRIES = 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_motor(site: Site, number: signal.Signals) -> None:
    """A busy machine gets more tries, a motor that is stopped late none."""
    took_s: list[float] = []
    while len(took_s) < TRIES and not any(each < MOST_S for each in took_s):
        took_s.append(seconds_to_stop(site, number))
    assert took_s[-1] < MOST_S, took_s


def seconds_to_stop(site: Site, number: signal.Signals) -> float:
    with site.controller(focus=SLOW) as twin:
        rig = site.rig(focus={**SLOW, "port": twin.port})
        begun_um = twin.motor_position_um()
        words = ("focus", "move", "9000", "--at-um", f"{begun_um}", "--rig", rig)
        with site.started(*words) as process:
            site.until(lambda: twin.motor_position_um() > begun_um + 20, "motion")
            asked = time.monotonic_ns()
            site.stop(process, number, status=130)
        rest = twin.last_motion_end_ns()
        assert rest is not None
        assert twin.motor_position_um() < 8000
        assert twin.violations == []
    return (rest - asked) / 1e9
