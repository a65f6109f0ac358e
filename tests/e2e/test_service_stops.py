"""SIGTERM in every state: the motor stands within 200 ms, the process has ended within 5 s."""

from __future__ import annotations

import os
import pty
import signal
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.conftest import DEADLINE_S, Site

from zstackd.api.client import Client
from zstackd_config.errors import ZstackdError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Report

    from zstackd_drivers.grbl.twin import GrblTwin

pytestmark = pytest.mark.alone
EXIT_S = 5.0
MOTOR_S = 0.2
TRIES = 3
SLOW: dict[str, Any] = {"speed_um_per_s": 100, "settle_ms": 0}
FAR = {"bottom": 0, "top": 380, "step": 380}
"""Two planes, with a motion of four seconds between them."""


@contextmanager
def at_work(site: Site, **focus: Any) -> Iterator[tuple[GrblTwin, subprocess.Popen[str]]]:
    """Run the service on a controller outside of it, whose motor can be looked at."""
    with site.controller(focus=SLOW) as twin:
        rig = site.rig(focus={**SLOW, **focus, "port": twin.port})
        with site.serving(rig, ready=True) as process:
            yield twin, process
        assert twin.violations == []


def stopped(process: subprocess.Popen[str], site: Site) -> str:
    """Stop the service and return how many seconds it took."""
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=DEADLINE_S) == 0, (site.folder / "serve.log").read_text()
    seconds = time.monotonic() - begun
    assert "Traceback" not in (site.folder / "serve.log").read_text()
    return f"{seconds:.2f}"


def stops_at_once(twin: GrblTwin, process: subprocess.Popen[str], site: Site) -> tuple[str, str]:
    """Stop while the motor turns; return the seconds to its stop, and to the end."""
    start_um = twin.motor_position_um()
    site.until(lambda: twin.motor_position_um() != start_um, "motion")
    asked_ns = time.monotonic_ns()
    seconds = stopped(process, site)
    ended_ns = twin.last_motion_end_ns()
    assert ended_ns is not None
    assert asked_ns < ended_ns
    return f"{(ended_ns - asked_ns) / 1e9:.3f}", seconds


def in_time(site: Site, scenario: Callable[[Site], tuple[str, str]]) -> tuple[str, str]:
    """Return the seconds to the stop and to the end, which must be within their bounds.

    A busy machine gets more tries, each in a folder of its own; a slow service none.
    """
    found: list[tuple[str, str]] = []
    while len(found) < TRIES and not any(map(is_in_time, found)):
        folder = site.folder / f"{len(found)}"
        folder.mkdir()
        found.append(scenario(Site(folder)))
    assert is_in_time(found[-1]), found
    return found[-1]


def is_in_time(times: tuple[str, str]) -> bool:
    motor_s, exit_s = map(float, times)
    return motor_s < MOTOR_S and exit_s < EXIT_S


def last(site: Site) -> tuple[str, str]:
    entry = site.journal()[-1]
    return entry["event"], entry.get("reason", "")


@contextmanager
def client_asks(site: Site, ask: Callable[[Client], object]) -> Iterator[None]:
    """Ask the service from another thread, which may be left without an answer."""

    def call() -> None:
        try:
            with Client(site.state / "control.sock") as client:
                ask(client)
        except ZstackdError:
            return

    thread = threading.Thread(target=call, name="client")
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.soak
def test_while_idle(site: Site, report: Report) -> None:
    with at_work(site) as (_, process):
        exit_s = stopped(process, site)
        assert float(exit_s) < EXIT_S
        report(exit_s=exit_s)


@pytest.mark.soak
def test_while_the_run_homes(site: Site, report: Report) -> None:
    motor_s, exit_s = in_time(site, partial(run_is_stopped, event="started"))
    report(motor_s=motor_s, exit_s=exit_s)


def run_is_stopped(site: Site, event: str, count: int = 1) -> tuple[str, str]:
    with at_work(site) as (twin, process):
        site.drop(site.run(z_plan=FAR), "run.yaml")
        site.wait_for_event(event, count=count)
        times = stops_at_once(twin, process, site)
        assert last(site) == ("interrupted", "stopped by SIGTERM")
    return times


def test_while_the_run_moves(site: Site, report: Report) -> None:
    motor_s, exit_s = in_time(site, partial(run_is_stopped, event="plane", count=2))
    report(motor_s=motor_s, exit_s=exit_s)


@pytest.mark.soak
def test_while_the_run_settles(site: Site, report: Report) -> None:
    with at_work(site, settle_ms=60_000) as (twin, process):
        site.drop(site.run(z_plan={"absolute": [0]}), "run.yaml")
        site.wait_for_event("plane")
        site.until(lambda: twin.last_motion_end_ns() is not None, "the end of the motion")
        exit_s = stopped(process, site)
        assert float(exit_s) < EXIT_S
        report(exit_s=exit_s)
    assert last(site) == ("interrupted", "stopped by SIGTERM")


@pytest.mark.soak
@pytest.mark.parametrize("whole", [True, False], ids=["service", "run"])
def test_while_paused(site: Site, report: Report, whole: bool) -> None:
    with site.serving(site.rig(), ready=True) as process:
        site.drop(site.slow_run(), "run.yaml")
        site.wait_for_event("frame")
        (run,) = site.state.glob("runs/*")
        with Client(site.state / "control.sock") as client:
            client.post("/v1/pause" if whole else f"/v1/runs/{run.name}/pause")
        site.wait_for_event("paused")
        exit_s = stopped(process, site)
        assert float(exit_s) < EXIT_S
        report(exit_s=exit_s)
    assert last(site) == ("interrupted", "stopped by SIGTERM")


@pytest.mark.soak
def test_while_a_run_waits_for_an_operator(site: Site, report: Report) -> None:
    with site.serving(site.rig(focus={"reference": "confirm"}), ready=True) as process:
        site.drop(site.run(), "run.yaml")
        site.wait_for_log("does not know its position")
        site.wait_for_event("accepted")
        exit_s = stopped(process, site)
        assert float(exit_s) < EXIT_S
        report(exit_s=exit_s)
    assert last(site)[0] == "accepted"


@pytest.mark.parametrize(
    ("event", "size_px"),
    [
        pytest.param("captured", [800, 600], id="stacking"),
        pytest.param("captured", [1640, 1232], id="stacking-long", marks=pytest.mark.soak),
        pytest.param("stacked", [1640, 1232], id="publishing", marks=pytest.mark.soak),
    ],
)
def test_while_a_run_is_stacked_or_published(
    site: Site, report: Report, event: str, size_px: list[int]
) -> None:
    """With a camera that takes long to open, and a result that takes long to write."""
    rig = site.rig(camera={"size_px": size_px})
    extras = {"extras": ["confidence", "relief", "mesh", "focus_curve"], "format": "png"}
    run = site.run(z_plan={"bottom": 0, "top": 80, "step": 20}, output=extras)
    with site.serving(rig, ready=True) as process:
        site.drop(run, "run.yaml")
        site.wait_for_event(event)
        exit_s = stopped(process, site)
        assert float(exit_s) < EXIT_S
        report(exit_s=exit_s)
    assert site.ends() in (["open"], ["published"])
    with site.serving(rig) as process:
        site.wait_for_event("published")
        stopped(process, site)
    site.published()


@pytest.mark.parametrize("order", [pytest.param("home", marks=pytest.mark.soak), "move"])
def test_while_an_operator_moves_the_axis(site: Site, report: Report, order: str) -> None:
    def ask(client: Client) -> None:
        if order == "home":
            client.home()
        else:
            client.post("/v1/focus/move", document={"z_um": 380})

    def scenario(site: Site) -> tuple[str, str]:
        with at_work(site) as (twin, process):
            if order == "move":
                with site.client() as client:
                    client.home()
            with client_asks(site, ask):
                return stops_at_once(twin, process, site)

    motor_s, exit_s = in_time(site, scenario)
    report(motor_s=motor_s, exit_s=exit_s)


def test_while_a_controller_does_not_answer(site: Site, report: Report) -> None:
    ours, theirs = pty.openpty()
    try:
        with site.serving(site.rig(focus={"port": os.ttyname(theirs)})) as process:
            site.until(lambda: os.read(ours, 1), "the first question to the controller")
            exit_s = stopped(process, site)
            assert float(exit_s) < EXIT_S
            report(exit_s=exit_s)
    finally:
        os.close(ours)
        os.close(theirs)


def test_while_a_hook_goes_on(site: Site, report: Report) -> None:
    begun = site.folder / "begun"
    code = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(600)"
    hook = {"command": [sys.executable, "-c", code], "timeout_s": 900}
    with site.serving(site.rig(service={"on_published": hook})) as process:
        site.drop(site.run(z_plan={"absolute": [0, 50]}), "run.yaml")
        site.until(begun.exists, "the hook")
        exit_s = stopped(process, site)
        assert float(exit_s) < EXIT_S
        report(exit_s=exit_s)
    assert site.ends() == ["published"]


@pytest.mark.soak
def test_while_clients_listen(site: Site, report: Report) -> None:
    with site.serving(site.rig(), ready=True) as process:
        socket = site.state / "control.sock"
        words = ("watch", "--socket", socket)
        with site.started(*words), site.started(*words):
            site.until(lambda: listeners(socket) == 2, "two listeners")
            exit_s = stopped(process, site)
            assert float(exit_s) < EXIT_S
            report(exit_s=exit_s)


def listeners(socket: Path) -> int:
    """Return how many connections to the socket are open, beside the socket that listens."""
    with open("/proc/net/unix", encoding="ascii") as table:  # noqa: PTH123
        return sum(line.rstrip().endswith(str(socket)) for line in table) - 1


@pytest.mark.soak
def test_while_it_starts(site: Site, report: Report) -> None:
    rig = site.rig()
    with site.started("serve", "--rig", rig) as process:
        site.until((site.state / "inbox").exists, "the first of the start")
        exit_s = stopped(process, site)
        assert float(exit_s) < EXIT_S
        report(exit_s=exit_s)
