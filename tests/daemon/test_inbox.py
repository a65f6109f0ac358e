"""Names of any bytes and lengths are answered, and what could not be taken is tried again."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from zstackd import inbox as inbox_module
from zstackd.halt import Halt
from zstackd.inbox import Inbox
from zstackd.intake import Intake
from zstackd.pulse import Pulses
from zstackd_config.errors import InputError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STRANGE = [b"\xff\xfe.yaml", b"n" * 250 + b".yaml", "ö".encode() * 125 + b".yaml", b"a\nb.yaml"]


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


def test_long_names_that_differ_at_the_end_alone_are_answered_apart(
    inbox: Inbox, tmp_path: Path
) -> None:
    for end in "ab":
        path = tmp_path / f"{'n' * 249}{end}.yaml"
        path.touch()
        inbox.refuse(path, "bad")
    assert len(list(tmp_path.glob("*.rejected"))) == 2


def test_what_found_no_room_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "LEFT_S", 0.2)
    tried: list[Path] = []

    class NoRoomAtFirst:
        def take_file(self, path: Path) -> str:
            tried.append(path)
            if len(tried) < 3:
                raise StorageError("no room")
            path.unlink()
            return "id"

    stop = Halt()
    intake = Intake(tmp_path, NoRoomAtFirst(), stop, Pulses().of("inbox"))  # type: ignore[arg-type]
    thread = threading.Thread(target=intake.run)
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
