import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zstackd.service.recovery import recover
from zstackd.store.holder import way_out
from zstackd.store.journal import read_journal
from zstackd.store.spool import RunFolder, Spool, slug
from zstackd_config.errors import InputError, StorageError


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
    said = rf"in use by process {os.getpid()}; wait until it has ended, or stop it$"
    with Spool(tmp_path), pytest.raises(StorageError, match=said):
        Spool(tmp_path).__enter__()
    with Spool(tmp_path):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_root_leaves_nothing_in_the_state_folder_of_another_user(tmp_path: Path) -> None:
    state = tmp_path / "state"
    os.chown(tmp_path, 65534, 65534)
    said = f"{state}: belongs to nobody, who could not write .*`sudo -u nobody zstackd …`$"
    with pytest.raises(InputError, match=said):
        Spool(state).__enter__()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_who_may_not_write_to_a_state_folder_is_told_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Spool(tmp_path):
        pass

    def refused(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    mine = f"belongs to root, and nobody may not .*`sudo chown -R nobody: {tmp_path}`$"
    with pytest.raises(StorageError, match=mine):
        Spool(tmp_path).__enter__()
    os.chown(tmp_path / "lock", 1, 1)
    theirs = r"belongs to daemon, and nobody may not .*`sudo -u daemon zstackd …`$"
    with pytest.raises(StorageError, match=theirs):
        Spool(tmp_path).__enter__()


@pytest.mark.parametrize(
    ("group", "said"),
    [
        (
            "0::/system.slice/zstackd.service\n",
            "it is the service: stop it (sudo systemctl stop zs",
        ),
        ("0::/user.slice/user-1000.slice/session-1.scope\n", "wait until it has ended, or stop it"),
        (None, "wait until it has ended, or stop it"),
    ],
)
def test_only_the_unit_is_stopped_by_systemctl(
    tmp_path: Path, group: str | None, said: str
) -> None:
    if group is not None:
        (tmp_path / "77").mkdir()
        (tmp_path / "77" / "cgroup").write_text(group)
    assert way_out("77", tmp_path).startswith(said)


def begun(spool: Spool, request: Path, output: Path, *events: str, **facts: bool) -> RunFolder:
    run = spool.accept(request, name="x", keep=True, **facts)
    with spool.journal(run) as journal:
        for event in events:
            journal.append(event, output=str(output), name=run.run_id)  # type: ignore[arg-type]
    return run


def test_recovery_closes_foreground_runs_and_hands_back_the_others(tmp_path: Path) -> None:
    request, output = tmp_path / "r.yaml", tmp_path / "out"
    request.write_text("name: x")
    with Spool(tmp_path / "state") as spool:
        waiting = begun(spool, request, output)
        capturing = begun(spool, request, output, "started", "plane")
        foreground = begun(spool, request, output, "started", "plane", foreground=True)
        done = begun(spool, request, output, "started", "published")
        left = output / f".{done.run_id}.{spool.owner}.tmp"
        kept = output / f".{capturing.run_id}.{spool.owner}.tmp"
        foreign = output / f".{done.run_id}.another.tmp"
        for folder in (left, kept, foreign):
            folder.mkdir(parents=True)
        torn = spool.runs / "20260101T000000Z_torn"
        torn.mkdir()
        assert [run.folder for run in recover(spool, output)] == [waiting, capturing]
        assert [run.folder for run in recover(spool, output)] == [waiting, capturing]
    ends = [read_journal(run.journal)[-1]["event"] for run in (foreground, done, capturing)]
    assert ends == ["interrupted", "published", "plane"]
    assert [path.exists() for path in (left, kept, foreign, torn)] == [False, True, True, False]


def test_the_spool_keeps_its_own_word(tmp_path: Path) -> None:
    with Spool(tmp_path / "a") as spool, Spool(tmp_path / "b") as other:
        owner = spool.owner
        assert owner != other.owner
    with Spool(tmp_path / "a") as again:
        assert again.owner == owner
    (tmp_path / "a/id").write_text("../etc\n")
    with Spool(tmp_path / "a") as mended:
        assert mended.owner.isalnum()


def file_for_hidden(output: Path, run: RunFolder, spool: Spool) -> None:
    (output / f".{run.run_id}.{spool.owner}.tmp").touch()


@pytest.mark.parametrize("can_be_listed", [True, False])
def test_recovery_does_not_fail_where_the_output_folder_is_ill(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    can_be_listed: bool,
) -> None:
    request, output = tmp_path / "r.yaml", tmp_path / "out"
    request.write_text("name: x")
    output.mkdir()
    listed = Path.iterdir

    def fails(folder: Path) -> Iterator[Path]:
        if folder == output:
            raise OSError(errno.EIO, "the disk fails", str(folder))
        return listed(folder)

    with Spool(tmp_path / "state") as spool:
        waiting = begun(spool, request, output)
        file_for_hidden(output, begun(spool, request, output, "started", "published"), spool)
        if not can_be_listed:
            monkeypatch.setattr(Path, "iterdir", fails)
        assert [run.folder for run in recover(spool, output)] == [waiting]
    assert "leftovers of ended runs stay in the output folder: " in caplog.text


@pytest.mark.parametrize("is_there", [False, True])
def test_a_foreground_run_is_closed_whatever_ails_its_output_folder(
    tmp_path: Path, is_there: bool
) -> None:
    request, output = tmp_path / "r.yaml", tmp_path / "out"
    request.write_text("name: x")
    with Spool(tmp_path / "state") as spool:
        run = begun(spool, request, output, "started", "publishing", foreground=True)
        if is_there:
            output.mkdir()
            file_for_hidden(output, run, spool)
        assert recover(spool, output) == []
    assert read_journal(run.journal)[-1]["event"] == "interrupted"


def test_recovery_finishes_moves_before_it_removes_what_never_arrived(tmp_path: Path) -> None:
    with Spool(tmp_path / "state") as spool:
        coming = [spool.runs / "20260101T000000Z_run", spool.series / "20260101T000000Z_series"]
        for folder in coming:
            folder.mkdir()
            (spool.inbox / f".{folder.name}.taken").write_text("name: x")
        recover(spool, tmp_path / "out")
        assert [RunFolder(folder).request.read_text() for folder in coming] == ["name: x"] * 2
        assert list(spool.inbox.iterdir()) == []


@pytest.mark.parametrize("refused_at", ["before", "after"])
def test_a_disk_that_fails_leaves_a_request_either_accepted_or_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused_at: str
) -> None:
    request = tmp_path / "r.yaml"
    request.write_text("name: x")

    def fails(path: Path) -> None:
        raise OSError(errno.EIO, "the disk fails", str(path))

    with Spool(tmp_path / "state") as spool:
        where = {
            "before": "zstackd.store.spool.flush_folder",
            "after": "zstackd.store.arrival.flush_folder",
        }
        monkeypatch.setattr(where[refused_at], fails)
        if refused_at == "before":
            with pytest.raises(StorageError, match="the disk fails"):
                spool.accept(request, name="x", keep=False)
            assert request.exists()
            assert list(spool.runs.iterdir()) == []
        else:
            run = spool.accept(request, name="x", keep=False)
            assert not request.exists()
            assert [open_run.folder for open_run in spool.open_runs()] == [run]
