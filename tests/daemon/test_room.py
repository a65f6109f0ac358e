"""A run is refused where it, and what it shares a disk with, would leave less than the reserve."""

from pathlib import Path

import pytest

from zstackd.store import room
from zstackd.store.room import NoRoom, require_disk, require_room


@pytest.fixture(autouse=True)
def hundred_bytes_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda _: 100)


def test_the_reserve_stays_free(tmp_path: Path) -> None:
    require_disk(tmp_path, 40, what="plane 3 onwards", reserve_bytes=60)
    with pytest.raises(NoRoom, match="plane 3 onwards needs"):
        require_disk(tmp_path, 41, what="plane 3 onwards", reserve_bytes=60)


def test_what_goes_to_one_disk_must_fit_there_together(tmp_path: Path) -> None:
    spool, output = tmp_path / "runs" / "not made yet", tmp_path / "output"
    require_room((spool, 30), (output, 30), reserve_bytes=40)
    with pytest.raises(NoRoom, match="the run needs"):
        require_room((spool, 30), (output, 31), reserve_bytes=40)
