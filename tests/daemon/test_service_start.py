"""What a start loads, and one that is stopped before it was done."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from zstackd.service.service import Service

if TYPE_CHECKING:
    from tests.daemon.conftest import Lodging

MODULES = "import sys, zstackd.commands.serve; print(*sys.modules)"
SIMULATED = {"zstackd_drivers.simulated.camera_twin", "numpy.random"}
UNUSED = {"httpx", "rich", "pygments", "trimesh", "numpy.ma"} | SIMULATED
"""What clients, few runs or simulated rigs need; loaded, it would stay in memory for months."""


def test_the_service_loads_nothing_that_only_others_need() -> None:
    command = [sys.executable, "-c", MODULES]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    loaded = set(printed.split())
    assert "zstackd.service.service" in loaded
    assert not UNUSED & loaded


def test_a_stop_does_not_wait_for_a_full_spool_to_be_read(lodging: Lodging) -> None:
    first, second = lodging.accept(), lodging.accept()
    house = lodging.house
    house.stop.request("stopped by SIGTERM")
    Service(house).run(lambda: pytest.fail("opened after the stop"))
    assert house.backlog.waiting() == []
    assert [run.folder for run in house.spool.open_runs()] == [first, second]
