"""`zstackd calibrate` beside a running service, which lends the rig and takes it back."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.conftest import DEADLINE_S, Site

from zstackd_config.errors import InputError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

LONG = ("calibrate", "backlash", "--low-um", "0", "--high-um", "300")
LONG_REST: dict[str, Any] = {"settle_ms": 60_000}
"""With it a calibration goes on for longer than any test waits."""

EXIT_S = 30.0
"""The service ends at once; a busy machine takes its time."""


@contextmanager
def served(site: Site, **focus: Any) -> Iterator[tuple[subprocess.Popen[str], Path, str]]:
    """Run the service on a controller outside of it; yield its process, rig file and port."""
    with site.controller() as twin:
        rig = site.rig(focus={**focus, "port": twin.port})
        with site.serving(rig, ready=True) as service:
            yield service, rig, twin.port
        assert twin.violations == []
    assert "Traceback" not in site.log()


@contextmanager
def borrowing(site: Site, port: str) -> Iterator[subprocess.Popen[str]]:
    """Start a calibration that goes on for long; the rig is lent to it then."""
    slow = site.rig("slow.yaml", focus={**LONG_REST, "port": port})
    with site.started(*LONG, "--rig", slow) as command:
        site.until(lambda: command.poll() is not None or holds(command, port), "the loan")
        assert command.poll() is None, said(site)
        assert lent(site)
        yield command


def status(site: Site) -> dict[str, Any]:
    with site.client() as client:
        return client.get("/v1/status")


def lent(site: Site) -> bool:
    return bool(status(site)["state"] == "lent")


def said(site: Site) -> str:
    """Return what the calibration printed."""
    return (site.folder / "calibrate.log").read_text()


def until_idle(site: Site) -> dict[str, Any]:
    """Wait until the service has the rig and nothing to do; return its status."""
    site.until(lambda: status(site)["state"] == "idle", "idleness")
    return status(site)


def holds(process: subprocess.Popen[str], port: str) -> bool:
    """Return whether a process has opened the controller's port."""
    target = os.path.realpath(port)
    found = set[str]()
    for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            found.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue  # closed meanwhile
    return target in found


def test_the_idle_service_lends_the_rig_and_goes_on(site: Site) -> None:
    with served(site) as (service, rig, port):
        with site.client() as client:
            client.home()
        assert status(site)["axis"]["reference"] == "referenced"
        done = site.zstackd("calibrate", "exposure", "--rig", rig)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(list(site.state.glob("calibration/*_exposure/fragment.yaml"))) == 1
        after = until_idle(site)
        assert after["axis"]["reference"] == "unreferenced"
        assert (after["loan"], after["faults"]) == (None, 0)
        assert holds(service, port)
        site.drop(site.run(z_plan={"absolute": [0, 50]}), "run.yaml")
        site.wait_for_event("published")
    assert "the loan to zstackd calibrate exposure (process " in site.log()


def test_a_loan_is_told_everywhere_and_ends_with_a_killed_borrower(site: Site) -> None:
    with served(site) as (service, rig, port):
        assert holds(service, port)
        with site.client() as client, client.listening() as events:
            with borrowing(site, port) as command:
                borrower = f"zstackd calibrate backlash (process {command.pid})"
                assert not holds(service, port)
                loan = client.get("/v1/status")["loan"]
                assert loan["to"] == borrower
                assert client.get("/healthz") == {"status": "ok", "late_s": {}, "loan": loan}
                told = next(e["facts"] for e in events if e["facts"].get("state") == "lent")
                assert told["why"].startswith(f"to {borrower} since ")
                site.wait_for_log(f"now lent: to {borrower} since ")
                assert (
                    f"bench is lent: to {borrower}" in site.zstackd("status", "--rig", rig).stdout
                )
                doctor = site.zstackd("doctor", "--rig", rig).stdout
                assert f"not looked at: lent to {borrower}" in doctor
                with pytest.raises(InputError, match=r"the rig is lent to .*; wait for its end"):
                    client.look({})
                site.drop(site.run(z_plan={"absolute": [0, 50]}), "run.yaml")
                site.wait_for_event("accepted")
                site.until(lambda: status(site)["queue"] == 1, "the run in the queue")
                assert lent(site)
                command.kill()
                command.wait(DEADLINE_S)
            site.wait_for_event("published")
        assert until_idle(site)["loan"] is None
    assert [entry["event"] for entry in site.journal()].count("started") == 1


def test_a_run_in_work_is_not_disturbed(site: Site) -> None:
    with served(site) as (_, rig, _):
        site.drop(site.slow_run(), "run.yaml")
        site.wait_for_event("frame")
        refused = site.zstackd("calibrate", "exposure", "--rig", rig)
        assert refused.returncode == InputError.exit_status
        assert refused.stderr == (
            "the rig is busy with a run or a move; wait for its end, or cancel it\n"
        )
        with site.client() as client:
            assert client.get("/v1/status")["state"] == "running"
        site.wait_for_event("frame", count=2)


def test_a_service_that_is_stopped_does_not_wait_for_the_borrower(site: Site) -> None:
    with served(site) as (service, _, port), borrowing(site, port) as command:
        begun = time.monotonic()
        site.stop(service)
        assert time.monotonic() - begun < EXIT_S
        assert command.wait(DEADLINE_S) == 130
        assert said(site) == "the service ended: stopped by SIGTERM\n"


def test_a_service_that_is_killed_stops_the_borrower(site: Site) -> None:
    with served(site) as (service, _, port), borrowing(site, port) as command:
        service.kill()
        assert command.wait(DEADLINE_S) == 130
        assert said(site) == "the service that lent the rig ended\n"


def test_the_order_to_stop_reaches_the_borrower(site: Site) -> None:
    with served(site) as (_, rig, port):
        with borrowing(site, port) as command:
            assert site.zstackd("focus", "stop", "--rig", rig).returncode == 0
            assert command.wait(DEADLINE_S) == 130
            assert said(site) == "stopped by an operator\n"
        assert until_idle(site)["faults"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_borrower_gives_the_rig_back(site: Site, number: signal.Signals) -> None:
    with served(site) as (_, _, port):
        with borrowing(site, port) as command:
            site.stop(command, number, status=130)
            assert said(site) == f"stopped by {number.name}\n"
        assert until_idle(site)["faults"] == 0


def test_a_second_borrower_is_told_of_the_first(site: Site) -> None:
    with served(site) as (_, rig, port), borrowing(site, port) as command:
        refused = site.zstackd("calibrate", "exposure", "--rig", rig)
        assert refused.returncode == InputError.exit_status
        assert f"lent to zstackd calibrate backlash (process {command.pid}) " in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


def test_a_position_that_an_operator_vouches_for_is_asked_for_anew(site: Site) -> None:
    with served(site, reference="confirm") as (_, rig, _):
        with site.client() as client:
            client.post("/v1/focus/confirm", document={"position_um": 30})
        done = site.zstackd("calibrate", "exposure", "--rig", rig)
        assert done.returncode == 0, done.stderr
        assert done.stderr.endswith(
            "the service waits to be told where the axis stands; it was left at 30 µm: "
            "zstackd focus confirm 30\n"
        )
        site.until(lambda: status(site)["state"] == "degraded", "the question to the operator")
        assert "does not know its position" in status(site)["why"]
        assert site.zstackd("focus", "confirm", "30", "--rig", rig).returncode == 0
        until_idle(site)


def test_a_point_of_a_series_that_comes_due_waits_and_is_late(site: Site) -> None:
    with served(site) as (_, _, port):
        with borrowing(site, port) as command:
            plan = {"loops": 2, "interval": 1}
            site.drop(site.run(z_plan={"absolute": [0, 50]}, time_plan=plan), "series.yaml")
            site.wait_for_event("accepted")
            site.until(lambda: status(site)["queue"] == 1, "the point in the queue")
            assert lent(site)
            site.stop(command, status=130)
        site.wait_for_event("published", count=2)
    first = site.journals()[0]
    assert next(entry["seconds"] for entry in first if entry["event"] == "late") > 0
