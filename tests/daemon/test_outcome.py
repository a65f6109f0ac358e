"""Exactly one result: whatever moment a run was caught at, its result is found or made anew."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.daemon.conftest import Lodging, write_result

from zstackd.runs.outcome import is_whole, result_already_out
from zstackd.runs.past import Past
from zstackd.runs.publish import Publisher
from zstackd_config.errors import StorageError


@pytest.fixture
def publisher(lodging: Lodging) -> Publisher:
    publisher = lodging.house.publisher(lodging.accept().run_id)
    publisher.hidden.mkdir()
    write_result(publisher.hidden, publisher.run_id)
    return publisher


def announced(publisher: Publisher, **changes: Any) -> Past:
    return Past(publishing={"name": publisher.run_id, "place": publisher.place(), **changes})


def test_nothing_was_announced(publisher: Publisher) -> None:
    assert result_already_out(Past(), publisher) is None
    assert publisher.hidden.is_dir()


def test_caught_before_the_rename(publisher: Publisher) -> None:
    out = result_already_out(announced(publisher), publisher)
    assert out == publisher.output / publisher.run_id
    assert is_whole(out)
    assert not publisher.hidden.exists()


def test_caught_before_the_rename_with_a_name_taken_since(publisher: Publisher) -> None:
    (publisher.output / publisher.run_id).mkdir()
    out = result_already_out(announced(publisher), publisher)
    assert out == publisher.output / f"{publisher.run_id}-2"


def test_caught_after_the_rename(publisher: Publisher) -> None:
    out = publisher.appear(publisher.run_id)
    assert result_already_out(announced(publisher), publisher) == out


def test_caught_after_the_rename_and_carried_off_by_a_consumer(publisher: Publisher) -> None:
    out = publisher.appear(publisher.run_id)
    shutil.rmtree(out)
    assert result_already_out(announced(publisher), publisher) == out


def test_damaged_before_the_rename(publisher: Publisher) -> None:
    (publisher.hidden / "stack.png").write_bytes(b"torn")
    assert result_already_out(announced(publisher), publisher) is None


def test_another_output_folder_is_there_now(publisher: Publisher) -> None:
    shutil.rmtree(publisher.hidden)
    past = announced(publisher, place="another")
    assert result_already_out(past, publisher) is None


def test_the_output_folder_is_away(publisher: Publisher, tmp_path: Path) -> None:
    past = announced(publisher)
    publisher.output.rename(tmp_path / "unmounted")
    with pytest.raises(StorageError, match="is not there; mount or make it"):
        result_already_out(past, publisher)


def test_a_result_of_somebody_else_under_the_name_is_not_ours(publisher: Publisher) -> None:
    target = publisher.output / publisher.run_id
    target.mkdir()
    write_result(target, "20260101T000000Z_other")
    out = result_already_out(announced(publisher), publisher)
    assert out == publisher.output / f"{publisher.run_id}-2"


def test_a_result_of_the_same_id_may_be_another_service_s(publisher: Publisher) -> None:
    """Two rigs that were given the same run in the same second share an output folder."""
    other = replace(publisher, owner="another")
    other.discard()
    other.hidden.mkdir()
    write_result(other.hidden, other.run_id)
    theirs = other.appear(other.free_name())
    assert theirs.name == publisher.run_id
    ours = result_already_out(announced(publisher), publisher)
    assert ours == publisher.output / f"{publisher.run_id}-2"
    assert is_whole(theirs)
    assert is_whole(ours)
