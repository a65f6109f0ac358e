"""What a start loads, and one that is stopped before it was done."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from zstackd.service.service import Service

if TYPE_CHECKING:
    from tests.daemon.conftest import Lodging

    from zstackd.service.backlog import Job

SIMULATED = {"zstackd_drivers.simulated.camera_twin", "numpy.random"}
UNUSED = {"httpx", "rich", "pygments", "trimesh", "numpy.ma"} | SIMULATED
"""What clients, few runs or simulated rigs need; loaded, it would stay in memory for months."""


def modules_after(module: str) -> list[str]:
    """What is loaded once that module is."""
    command = [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_the_service_loads_nothing_that_only_others_need() -> None:
    loaded = set(modules_after("zstackd.commands.serve"))
    assert "zstackd.service.service" in loaded
    assert not UNUSED & loaded


@pytest.mark.parametrize(
    "command",
    ["status", "list", "show", "watch", "logs", "submit", "cancel", "pause", "resume", "reload"],
)
def test_a_command_that_asks_the_service_loads_little(command: str) -> None:
    loaded = set(modules_after(f"zstackd.commands.{command}"))
    assert "zstackd.api.client" in loaded
    assert not {"numpy", "cv2", "useq", "pydantic"} & loaded


def test_a_stop_does_not_wait_for_a_full_spool_to_be_read(lodging: Lodging) -> None:
    first, second = lodging.accept(), lodging.accept()
    house = lodging.house
    house.stop.request("stopped by SIGTERM")
    Service(house).run(lambda: pytest.fail("opened after the stop"))
    assert house.backlog.waiting() == []
    assert [run.folder for run in house.spool.open_runs()] == [first, second]


def test_a_restart_forgets_neither_priority_nor_time(lodging: Lodging) -> None:
    house, at = lodging.house, datetime(2100, 1, 1, tzinfo=UTC)
    usual = lodging.accept()
    later = house.spool.accept_text(b"name: x", name="later", priority=7, not_before=at.isoformat())
    point = house.spool.accept_text(
        b"{name: x, z_plan: {absolute: [0]}, when_late: skip, late_after_s: 30, priority: 3,"
        b" time_plan: {interval: 60, loops: 9}}",
        name="point", priority=3, due=at.isoformat(),
    )  # fmt: skip
    waiting: list[Job] = []

    def opened() -> None:
        waiting.extend(house.backlog.waiting())
        house.stop.request("seen enough")

    Service(house).run(opened)
    seconds = at.timestamp()
    assert [(job.folder, job.priority, job.ready_at) for job in waiting] == [
        (later, 7, seconds),
        (point, 3, 0.0),
        (usual, 0, 0.0),
    ]
    assert (waiting[1].due_at, waiting[1].skip_after) == (seconds, seconds + 30)
