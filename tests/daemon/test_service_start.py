"""A start that is stopped before it was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from zstackd.service.service import Service

if TYPE_CHECKING:
    from tests.daemon.conftest import Lodging


def test_a_stop_does_not_wait_for_a_full_spool_to_be_read(lodging: Lodging) -> None:
    first, second = lodging.accept(), lodging.accept()
    house = lodging.house
    house.stop.request("stopped by SIGTERM")
    Service(house).run(lambda: pytest.fail("opened after the stop"))
    assert house.backlog.waiting() == []
    assert [run.folder for run in house.spool.open_runs()] == [first, second]
