import subprocess
import sys
from pathlib import Path

import pytest

from zstackd.store.journal import Journal, read_ends, read_journal, read_milestones
from zstackd_config.errors import StorageError


def test_lines_are_on_disk_as_they_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append("plane", plane=3, z_um=1.5)
        (entry,) = read_journal(path)
    assert (entry["event"], entry["plane"], entry["z_um"]) == ("plane", 3, 1.5)
    assert entry["at"].endswith("+00:00")


@pytest.mark.parametrize("torn", ['{"at": "2026", "ev', '{"at": "20\u00e9'[:-1], "\x00\x00\x00"])
def test_a_torn_line_is_left_out_and_does_not_spoil_the_next(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append("accepted")
    with path.open("ab") as stream:
        stream.write(torn.encode()[:-1])
    assert [entry["event"] for entry in read_journal(path)] == ["accepted"]
    with Journal(path) as journal:
        journal.append("interrupted")
    assert [entry["event"] for entry in read_journal(path)] == ["accepted", "interrupted"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_line_ends_within_a_word_end_no_line(tmp_path: Path, end: str) -> None:
    path, source = tmp_path / "journal.jsonl", f"two{end}lines.yaml"
    with Journal(path) as journal:
        journal.append("accepted", source=source)
    for read in (read_journal, read_milestones, read_ends):
        assert [entry["source"] for entry in read(path)] == [source]


def test_a_missing_journal_has_no_entries(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "none") == []


def test_a_journal_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere/journal\.jsonl: cannot be written"):
        Journal(tmp_path / "nowhere" / "journal.jsonl").__enter__()


WRITES_TO_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from zstackd.store.journal import Journal
from zstackd_config.errors import StorageError

with Journal(Path(sys.argv[1])) as journal:
    journal.append("accepted", name="x")
    size = journal.path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, resource.RLIM_INFINITY))
    try:
        journal.append("started", output="somewhere far away")
    except StorageError:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        journal.append("waiting", reason="no room")
"""


def test_a_line_that_found_no_room_spoils_no_later_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    subprocess.run([sys.executable, "-c", WRITES_TO_A_FULL_DISK, path], check=True)
    assert [entry["event"] for entry in read_journal(path)] == ["accepted", "waiting"]


def test_a_closed_journal_writes_into_no_other_file(tmp_path: Path) -> None:
    with Journal(tmp_path / "one.jsonl") as journal:
        journal.append("accepted")
    with Journal(tmp_path / "other.jsonl"), pytest.raises(StorageError, match=r"one\.jsonl"):
        journal.append("frame")
    assert read_journal(tmp_path / "other.jsonl") == []
