"""`zstackd focus` as a process: a signal stops the motor, and so does a lost terminal."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Site

    from zstackd_drivers.grbl.twin import GrblTwin

SLOW = {"limits_um": [-100, 10_000], "speed_um_per_s": 200}
TRIES = 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_motor(site: Site, number: signal.Signals) -> None:
    """A busy machine gets more tries, a motor that is stopped late none."""
    took_s: list[float] = []
    while len(took_s) < TRIES and not any(each < 0.5 for each in took_s):
        with site.controller(focus=SLOW) as twin:
            rig = site.rig(focus={**SLOW, "port": twin.port})
            start = f"{twin.motor_position_um()}"
            words = ("focus", "move", "9000", "--at-um", start, "--rig", rig)
            took_s.append(_seconds_to_stop(site, number, twin, words))
    assert took_s[-1] < 0.5, took_s


def test_ctrl_c_stops_the_motor_of_the_service_too(site: Site) -> None:
    with site.controller(focus=SLOW) as twin:
        rig = site.rig(focus={**SLOW, "port": twin.port, "reference": "confirm"})
        with site.serving(rig, ready=True):
            done = site.zstackd("focus", "confirm", f"{twin.motor_position_um()}", "--rig", rig)
            assert done.returncode == 0, done.stderr
            words = "focus", "move", "9000", "--rig", rig
            assert _seconds_to_stop(site, signal.SIGINT, twin, words) < 5.0


def _seconds_to_stop(
    site: Site, number: signal.Signals, twin: GrblTwin, words: tuple[str | Path, ...]
) -> float:
    """Start a motion of 45 s with these words, send the signal, and see the motor stop."""
    begun_um = twin.motor_position_um()
    with site.started(*words) as process:
        site.until(lambda: twin.motor_position_um() > begun_um + 20, "motion")
        asked = time.monotonic_ns()
        site.stop(process, number, status=130)
    rests_at_um = twin.motor_position_um()
    time.sleep(0.3)
    assert twin.motor_position_um() == rests_at_um
    rest = twin.last_motion_end_ns()
    assert rest is not None
    assert twin.violations == []
    return (rest - asked) / 1e9
