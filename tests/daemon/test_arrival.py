"""A run file comes into the spool once and for good, also from an inbox on another disk."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zstackd.store.arrival import REQUEST, bring, finish_moves
from zstackd.store.durable import flush_folder
from zstackd_config.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = b"name: x\n"


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on another file system than `tmp_path`."""
    shared = Path("/dev/shm")  # noqa: S108 - the other file system that Linux always has
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "20260101T000000Z_x"
    folder.mkdir(parents=True)
    return folder


def test_a_file_is_moved_from_another_disk(inbox: Path, run: Path) -> None:
    (inbox / "a.yaml").write_bytes(TEXT)
    bring(inbox / "a.yaml", run / REQUEST, keep=False)
    assert (run / REQUEST).read_bytes() == TEXT
    assert list(inbox.iterdir()) == []


def test_a_move_that_fails_leaves_the_file_where_it_was(inbox: Path, run: Path) -> None:
    (inbox / "a.yaml").write_bytes(TEXT)
    (run / f".{REQUEST}.tmp").mkdir()  # so that no such file can be written
    with pytest.raises(StorageError):
        bring(inbox / "a.yaml", run / REQUEST, keep=False)
    assert (inbox / "a.yaml").read_bytes() == TEXT
    assert [path.name for path in inbox.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize("arrived", [False, True])
def test_a_move_that_a_crash_cut_short_is_finished(inbox: Path, run: Path, arrived: bool) -> None:
    taken = inbox / f".{run.name}.taken"
    taken.write_bytes(TEXT)
    if arrived:
        (run / REQUEST).write_bytes(TEXT)
    finish_moves(inbox, [run.parent])
    assert (run / REQUEST).read_bytes() == TEXT
    assert list(inbox.iterdir()) == []


def test_a_file_whose_run_never_came_to_the_disk_is_given_back(inbox: Path, tmp_path: Path) -> None:
    (inbox / ".20260101T000000Z_x.taken").write_bytes(TEXT)
    finish_moves(inbox, [tmp_path])
    (back,) = inbox.glob("*.yaml")
    assert back.read_bytes() == TEXT


def test_what_only_looks_like_a_move_of_ours_is_left_alone(inbox: Path, run: Path) -> None:
    (inbox / "....taken").write_bytes(TEXT)
    (inbox / f".{run.name}.taken").symlink_to("/dev/zero")
    finish_moves(inbox, [run.parent])
    assert not (run.parent.parent / REQUEST).exists()
    assert not (run / REQUEST).exists()
    assert len(list(inbox.iterdir())) == 2


def test_a_file_system_that_flushes_no_folders_is_taken_as_it_is() -> None:
    folder = Path("/proc/self")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError, match="Invalid argument"):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    flush_folder(folder)
