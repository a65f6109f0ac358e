"""Frames of a run that are stacked again know their heights; other files do not."""

import json
from pathlib import Path

import pytest

from zstackd.stack_command.job import _high_is_near
from zstackd.stack_command.outputs import Settings
from zstackd.stack_command.run_heights import heights_of_run
from zstackd.stack_command.scale import _of_run

FRAME = {
    "event": "frame", "bytes": 1, "sha256": "", "commanded_um": 1.3, "reported_um": 1.0,
    "approach": "up", "sensor_timestamp_ns": 0, "extra": {},
    "exposure": {"exposure_time_ms": 1.0, "analogue_gain": 1.0, "colour_gains": None},
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two frames; the journal of the first is of a time that kept no motor steps."""
    entries = [
        {**FRAME, "index": 0, "file": "z_0000.jpg"},
        {**FRAME, "index": 1, "file": "z_0001.jpg", "z_um": 2.25},
    ]
    journal = "".join(json.dumps(entry) + "\n" for entry in entries)
    (tmp_path / "journal.jsonl").write_text(journal)
    (tmp_path / "frames").mkdir()
    return tmp_path


def frames(folder: Path, *names: str) -> list[Path]:
    return [folder / "frames" / name for name in names]


def test_heights_are_those_of_the_journal(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert heights_of_run(frames(run, "z_0000.jpg", "z_0001.jpg")) == [1.3, 2.25]
    monkeypatch.chdir(run / "frames")
    assert heights_of_run([Path("z_0001.jpg")]) == [2.25]


def test_other_files_have_none(run: Path, tmp_path: Path) -> None:
    assert heights_of_run(frames(run, "z_0000.jpg", "other.jpg")) is None
    assert heights_of_run([*frames(run, "z_0000.jpg"), tmp_path / "z_0001.jpg"]) is None
    (run / "journal.jsonl").unlink()
    assert heights_of_run(frames(run, "z_0000.jpg")) is None


def test_a_spoilt_journal_is_said_and_not_used(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    (run / "journal.jsonl").write_text(json.dumps({"event": "frame", "index": 0}) + "\n")
    assert heights_of_run(frames(run, "z_0000.jpg")) is None
    assert "not used for heights" in caplog.text


@pytest.mark.parametrize("downward", [False, True])
def test_the_last_frame_is_the_higher_one_unless_the_run_went_down(
    run: Path, downward: bool
) -> None:
    """`--near last` was taken for the higher end."""
    files = frames(run, *sorted(("z_0000.jpg", "z_0001.jpg"), reverse=downward))
    settings = _of_run(files, Settings(None, None, 90, 1000))
    assert settings.z_step_um == pytest.approx(-0.95 if downward else 0.95)
    assert settings.heights_um == ((2.25, 1.3) if downward else (1.3, 2.25))
    assert _high_is_near("last", settings.z_step_um) is not downward
    assert _of_run(files, Settings(None, 5.0, 90, 1000)).heights_um is None
