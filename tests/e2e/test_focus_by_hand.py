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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_motor(site: Site, number: signal.Signals) -> None:
    with site.controller(focus=SLOW) as twin:
        rig = site.rig(focus={**SLOW, "port": twin.port})
        words = ("focus", "move", "9000", "--at-um", f"{twin.motor_position_um()}", "--rig", rig)
        _moving_ends_by(site, number, twin, words, within_s=0.5)


def test_ctrl_c_stops_the_motor_of_the_service_too(site: Site) -> None:
    with site.controller(focus=SLOW) as twin:
        rig = site.rig(focus={**SLOW, "port": twin.port, "reference": "confirm"})
        with site.serving(rig, ready=True):
            done = site.zstackd("focus", "confirm", f"{twin.motor_position_um()}", "--rig", rig)
            assert done.returncode == 0, done.stderr
            words = "focus", "move", "9000", "--rig", rig
            _moving_ends_by(site, signal.SIGINT, twin, words, within_s=5.0)


def _moving_ends_by(
    site: Site,
    number: signal.Signals,
    twin: GrblTwin,
    words: tuple[str | Path, ...],
    *,
    within_s: float,
) -> None:
    """Start a motion of 45 s with these words, send the signal, and see the motor stop."""
    with site.started(*words) as process:
        end = time.monotonic() + 20.0
        while not twin.motions:
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(number)
        asked = time.monotonic_ns()
        assert process.wait(10.0) == 130
    rests_at_um = twin.motor_position_um()
    time.sleep(0.3)
    assert twin.motor_position_um() == rests_at_um
    rest = twin.last_motion_end_ns()
    assert rest is not None
    assert rest - asked < within_s * 1e9
    assert twin.violations == []
