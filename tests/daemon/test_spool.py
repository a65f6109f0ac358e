import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zstackd.journal import Journal, read_journal
from zstackd.recovery import recover
from zstackd.spool import RunFolder, Spool, slug
from zstackd_config.errors import StorageError


@given(st.text(max_size=200))
def test_any_name_becomes_a_safe_part_of_a_file_name(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug(name))
    assert len(slug(name)) <= 40


def test_names_stay_readable() -> None:
    assert slug("Käfer, Bein №3 (40×)") == "kafer-bein-no3-40"
    assert slug("../../etc") == "etc"
    assert slug("😀") == "run"


def test_run_ids_are_unique_and_sort_by_time(tmp_path: Path) -> None:
    request = tmp_path / "r.yaml"
    request.write_text("name: x")
    with Spool(tmp_path / "state") as spool:
        runs = [spool.accept(request, name="x", keep=True) for _ in range(3)]
        assert len({run.run_id for run in runs}) == 3
        assert [run.folder for run in spool.open_runs()] == runs
    assert all(re.fullmatch(r"\d{8}T\d{6}Z_x(-\d)?", run.run_id) for run in runs)


@pytest.mark.parametrize("keep", [True, False])
def test_an_accepted_request_is_in_the_spool_word_for_word(tmp_path: Path, keep: bool) -> None:
    request = tmp_path / "r.yaml"
    request.write_bytes(b"name: x # \xc3\xa4\r\n")
    with Spool(tmp_path / "state") as spool:
        run = spool.accept(request, name="x", keep=keep)
    assert run.request.read_bytes() == b"name: x # \xc3\xa4\r\n"
    assert request.exists() == keep
    assert [entry["event"] for entry in read_journal(run.journal)] == ["accepted"]


def test_the_lock_names_who_holds_it(tmp_path: Path) -> None:
    with Spool(tmp_path), pytest.raises(StorageError, match=r"in use by process \d+"):
        Spool(tmp_path).__enter__()
    with Spool(tmp_path):
        pass


def begun(spool: Spool, request: Path, output: Path, *events: str) -> RunFolder:
    run = spool.accept(request, name="x", keep=True)
    with Journal(run.journal) as journal:
        for event in events:
            journal.append(event, output=str(output), name=run.run_id)  # type: ignore[arg-type]
    return run


def test_recovery_closes_what_was_begun_and_leaves_what_waits(tmp_path: Path) -> None:
    request, output = tmp_path / "r.yaml", tmp_path / "out"
    request.write_text("name: x")
    with Spool(tmp_path / "state") as spool:
        waiting = begun(spool, request, output)
        capturing = begun(spool, request, output, "started", "planned", "plane", "frame", "plane")
        publishing = begun(spool, request, output, "started", "frame", "publishing")
        done = begun(spool, request, output, "started", "published")
        half = output / f".{publishing.run_id}.tmp"
        half.mkdir(parents=True)
        torn = spool.runs / "20260101T000000Z_torn"
        torn.mkdir()
        recover(spool)
        recover(spool)
        assert [run.folder for run in spool.open_runs()] == [waiting]
    ends = [read_journal(run.journal)[-1] for run in (capturing, publishing, done)]
    assert [end["event"] for end in ends] == ["interrupted", "interrupted", "published"]
    assert [end.get("frames") for end in ends] == [1, 1, None]
    assert not half.exists()
    assert not torn.exists()
