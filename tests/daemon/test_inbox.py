"""Names of any bytes and lengths are answered, and what could not be taken is tried again."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from watchdog.events import FileClosedEvent, FileMovedEvent

from zstackd.runs.halt import Halt
from zstackd.runs.pulse import Pulses
from zstackd.service import doorkeeper as doorkeeper_module
from zstackd.service import inbox as inbox_module
from zstackd.service.doorkeeper import Doorkeeper
from zstackd.service.inbox import Inbox
from zstackd_config.errors import InputError, StorageError
from zstackd_config.lines import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STRANGE = [
    b"\xff\xfe.yaml",
    b"n" * 250 + b".yaml",
    "ö".encode() * 125 + b".yaml",
    b"a\nb.yaml",
    b"a\xe2\x80\xa8b.yaml",
]


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    with Inbox(tmp_path, threading.Event()) as inbox:
        yield inbox


@pytest.mark.parametrize("name", STRANGE)
def test_a_bad_file_of_any_name_is_answered(inbox: Inbox, tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"bad")
    inbox.refuse(path, f"{path.name}: is bad")
    (answer,) = tmp_path.glob("*.error.txt")
    (aside,) = tmp_path.glob("*.rejected")
    assert answer.read_text().strip().endswith(": is bad")
    assert aside.read_bytes() == b"bad"
    assert not path.exists()


def test_names_are_printed_on_one_line() -> None:
    assert one_line("a\nb\u2028c\x1b[31m\udcff é 😀") == r"a\nb\u2028c\x1b[31m\udcff é 😀"


def test_long_names_that_differ_at_the_end_alone_are_answered_apart(
    inbox: Inbox, tmp_path: Path
) -> None:
    for end in "ab":
        path = tmp_path / f"{'n' * 249}{end}.yaml"
        path.touch()
        inbox.refuse(path, "bad")
    assert len(list(tmp_path.glob("*.rejected"))) == 2


def test_capital_endings_are_run_files_too(inbox: Inbox, tmp_path: Path) -> None:
    arriving = tmp_path / ".arriving"
    arriving.write_text("name: x")
    arriving.rename(tmp_path / "RUN.YAML")
    deadline_s = time.monotonic() + 30
    while not inbox.complete():
        assert time.monotonic() < deadline_s


def test_what_is_no_run_file_is_spoken_of_once(
    inbox: Inbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("run", "run.yaml.rejected", "run.yaml.error.txt", ".run"):
        (tmp_path / name).touch()
    assert inbox.complete() == []
    assert not caplog.records  # it may be about to be renamed
    monkeypatch.setattr(inbox_module, "STRANGE_S", 0.0)
    for _ in range(3):
        assert inbox.complete() == []
    (record,) = caplog.records
    assert "run is left alone: run files end in .yaml or .yml" in record.getMessage()


def test_what_found_no_room_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "LEFT_S", 0.2)
    monkeypatch.setattr(doorkeeper_module, "SCAN_S", 0.1)
    tried: list[Path] = []

    class NoRoomAtFirst:
        def take_file(self, path: Path) -> str:
            tried.append(path)
            if len(tried) < 3:
                raise StorageError("no room")
            path.unlink()
            return "id"

    stop = Halt()
    doorkeeper = Doorkeeper(tmp_path, NoRoomAtFirst(), stop, Pulses().of("inbox"))  # type: ignore[arg-type]
    thread = threading.Thread(target=doorkeeper.run)
    thread.start()
    try:
        path = tmp_path / "a.yaml"
        path.write_text("name: x")
        deadline_s = time.monotonic() + 30
        while path.exists():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
    finally:
        stop.fail(InputError("over"))
        thread.join()
    assert len(tried) == 3


def test_a_file_that_meets_an_error_of_ours_keeps_neither_the_others_nor_the_service(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Stumbling:
        def take_file(self, path: Path) -> str:
            if path.name == "bad.yaml":
                raise TypeError("unforeseen")
            path.unlink()
            return "id"

    for name in ("bad.yaml", "good.yaml"):
        (tmp_path / name).write_text("name: x")
    stop = Halt()
    doorkeeper = Doorkeeper(tmp_path, Stumbling(), stop, Pulses().of("inbox"))  # type: ignore[arg-type]
    thread = threading.Thread(target=doorkeeper.run)
    thread.start()
    try:
        deadline_s = time.monotonic() + 30
        while any(path.suffix == ".yaml" for path in tmp_path.iterdir()):
            assert time.monotonic() < deadline_s
            assert thread.is_alive()
            time.sleep(0.01)
    finally:
        stop.fail(InputError("over"))
        thread.join()
    answer = (tmp_path / "bad.yaml.error.txt").read_text()
    assert answer == "bad.yaml: internal error: TypeError: unforeseen; report it\n"
    assert any(record.exc_info for record in caplog.records)


def test_an_inbox_that_is_removed_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(doorkeeper_module, "SCAN_S", 0.1)

    class Taking:
        def take_file(self, path: Path) -> str:
            path.unlink()
            return "id"

    caplog.set_level("WARNING")
    stop, inbox = Halt(), tmp_path / "state" / "inbox"
    inbox.mkdir(parents=True)
    doorkeeper = Doorkeeper(inbox, Taking(), stop, Pulses().of("inbox"))  # type: ignore[arg-type]
    thread = threading.Thread(target=doorkeeper.run)
    thread.start()

    def until(look: Callable[[], object]) -> None:
        deadline_s = time.monotonic() + 30
        while not look():
            assert time.monotonic() < deadline_s
            assert thread.is_alive()
            time.sleep(0.01)

    def takes_files() -> None:
        (inbox / "a.yaml").write_text("name: x")
        until(lambda: not (inbox / "a.yaml").exists())

    try:
        takes_files()
        inbox.rmdir()
        until(inbox.exists)
        inbox.parent.rename(tmp_path / "away")
        until(lambda: caplog.records)
        time.sleep(0.3)
        (tmp_path / "away").rename(inbox.parent)
        takes_files()
    finally:
        stop.fail(InputError("over"))
        thread.join()
    assert len(caplog.records) <= 2  # once for each time that it was away
    said = f"inbox: no run files are taken: {inbox}: cannot be written: No such file or directory; "
    assert all(record.getMessage().startswith(said) for record in caplog.records)


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The inbox's clock."""
    now_s = [1000.0]
    monkeypatch.setattr(inbox_module, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    return now_s


def complete_within(inbox: Inbox, seconds: float) -> list[str]:
    """Return the files that are complete as soon as any is."""
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        if found := inbox.complete():
            return [path.name for path in found]
        time.sleep(0.02)
    return []


def test_a_file_that_is_opened_again_to_be_gone_on_with_is_waited_for(
    inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now_s: list[float]
) -> None:
    monkeypatch.setattr(inbox_module, "CLOSED_S", 1.0)
    monkeypatch.setattr(inbox_module, "STABLE_S", 3600.0)
    path = tmp_path / "a.yaml"
    for line in ("name: x\n", "z_plan: {absolute: [0]}\n", "priority: 1\n"):
        with path.open("a") as stream:
            stream.write(line)
        assert inbox.complete() == []
        now_s[0] += 0.9
        assert complete_within(inbox, 0.2) == []
    now_s[0] += 0.2
    assert complete_within(inbox, 30) == ["a.yaml"]
    assert path.read_text().count("\n") == 3


@pytest.mark.parametrize("begun", ["", "name: x\nz_plan: {absolute: [0]}\n"])
def test_a_file_whose_writer_pauses_is_waited_for(
    inbox: Inbox, tmp_path: Path, now_s: list[float], begun: str
) -> None:
    path = tmp_path / "a.yaml"
    with path.open("w") as stream:
        stream.write(begun)
        stream.flush()
        path.read_text()  # others may look at it meanwhile
        noticed(inbox, path)
        assert inbox.complete() == []
        now_s[0] += 10 * inbox_module.STABLE_S
        assert inbox.complete() == []
        stream.write("priority: 1\n")
    assert inbox.complete() == []
    now_s[0] += 10 * inbox_module.STABLE_S
    assert complete_within(inbox, 30) == ["a.yaml"]


def noticed(inbox: Inbox, path: Path) -> None:
    """Wait until the inbox has heard that a file is open to be written."""
    deadline_s = time.monotonic() + 30
    while path.name not in inbox._open:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_file_that_stays_open_is_complete_in_the_end(
    inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "OPEN_S", 0.5)
    with (tmp_path / "a.yaml").open("w"):
        assert complete_within(inbox, 30) == ["a.yaml"]


def test_a_link_has_no_writer_to_wait_for(
    inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "OPEN_S", 3600.0)
    hidden = tmp_path / ".a"
    hidden.write_text("name: x\n")
    (tmp_path / "a.yaml").hardlink_to(hidden)
    (tmp_path / "b.yaml").symlink_to(hidden)
    assert set(complete_within(inbox, 30)) <= {"a.yaml", "b.yaml"}


def test_a_file_that_is_renamed_in_counts_at_once(
    inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLOSED_S", "STABLE_S"):
        monkeypatch.setattr(inbox_module, name, 3600.0)
    hidden = tmp_path / ".a"
    hidden.write_text("name: x\n")
    hidden.rename(tmp_path / "a.yaml")
    assert complete_within(inbox, 30) == ["a.yaml"]


def test_a_file_that_nobody_saw_closed_is_complete_once_it_grows_no_more(
    tmp_path: Path, now_s: list[float]
) -> None:
    inbox, path = Inbox(tmp_path, threading.Event()), tmp_path / "a.yaml"
    for line in ("name: x\n", "z_plan: {absolute: [0]}\n", "priority: 1\n"):
        with path.open("a") as stream:
            stream.write(line)
        assert inbox.complete() == []
        now_s[0] += 0.9
        assert inbox.complete() == []
    now_s[0] += 0.2
    assert inbox.complete() == [path]


@pytest.mark.parametrize("how", ["closed", "moved"])
def test_the_next_file_of_a_name_is_waited_for_anew(
    tmp_path: Path, now_s: list[float], how: str
) -> None:
    inbox, path = Inbox(tmp_path, threading.Event()), tmp_path / "a.yaml"
    path.write_text("name: x\n")
    seen = FileClosedEvent(str(path)) if how == "closed" else FileMovedEvent("b", str(path))
    inbox.on_any_event(seen)
    found = inbox.complete()
    now_s[0] += 0.3
    assert found + inbox.complete() == [path]
    path.unlink()
    path.write_text("name: half of anoth")
    assert inbox.complete() == []
    now_s[0] += 0.3
    assert inbox.complete() == []
    now_s[0] += 0.8
    assert inbox.complete() == [path]


def test_files_come_in_order_of_arrival(tmp_path: Path, now_s: list[float]) -> None:
    inbox, first, second = (
        Inbox(tmp_path, threading.Event()),
        tmp_path / "b.yml",
        tmp_path / "a.yml",
    )
    for path in (first, second):
        path.write_text("name: x\n")
    while second.stat().st_ctime_ns <= first.stat().st_ctime_ns:
        second.chmod(0o644)
    inbox.complete()
    now_s[0] += 1.1
    assert inbox.complete() == [first, second]
