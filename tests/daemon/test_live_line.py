"""The one line on a terminal that says what is being done, and where there is no terminal."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.rigs import simulated_rig

from zstackd.cli import main
from zstackd.system.logs import configure_logging
from zstackd.terminal.live_line import live_line

_STEP = re.compile(r"\x1b\[([?0-9]*)([A-Za-z])|(.)", re.DOTALL)


class Terminal(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")  # as of a file

    def screen(self) -> list[str]:
        """Return the lines that can be read on it now; empty ones at the end are none."""
        lines, row, column = [""], 0, 0
        for code, command, letter in _STEP.findall(self.getvalue()):
            if command == "K":
                lines[row] = "" if code == "2" else lines[row][:column]
            elif command == "A":
                row -= int(code or 1)
            elif letter == "\n":
                row, column = row + 1, 0
                lines += [""] * (row == len(lines))
            elif letter == "\r":
                column = 0
            elif letter:
                lines[row] = lines[row][:column].ljust(column) + letter + lines[row][column + 1 :]
                column += 1
        return "\n".join(lines).rstrip("\n").split("\n")

    def steps(self) -> list[str]:
        """Return every line that was ever shown."""
        shown = re.sub(r"\x1b\[[?0-9]*[A-Za-z]", "", self.getvalue())
        return [line for line in re.split(r"[\r\n]+", shown) if line]


def opened(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make standard error a terminal, within the test itself: its capture begins only there."""
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZSTACKD_SOCKET", "")
    Path("rig.yaml").write_text(yaml.safe_dump(simulated_rig(simulation={"time_scale": 100})))
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield "rig.yaml"
    root.handlers[:], root.level = before


def test_there_is_one_line_and_then_none(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = opened(monkeypatch)
    with live_line("backlash") as say:
        say("plane 1 of 3 at 100.0 µm")
        say("plane 2 of 3 at 5.0 µm")
        assert terminal.screen() == ["backlash: plane 2 of 3 at 5.0 µm"]
    assert terminal.screen() == [""]


def test_it_is_one_line_however_narrow_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = opened(monkeypatch)
    monkeypatch.setenv("COLUMNS", "20")
    with live_line("backlash") as say:
        say("way down, plane 23 of 96 at 35.0 µm")
        assert terminal.screen() == ["backlash: way down,…"]
    assert terminal.screen() == [""]


def test_an_error_finds_it_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = opened(monkeypatch)

    def converge() -> None:
        with live_line("exposure") as say:
            say("letting the camera converge")
            raise ValueError("dark")

    with pytest.raises(ValueError, match="dark"):
        converge()
    assert terminal.screen() == [""]


@pytest.mark.usefixtures("rig")
def test_what_else_is_told_stands_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = opened(monkeypatch)
    configure_logging(debug=False)
    with live_line("backlash") as say:
        say("opening the rig")
        logging.getLogger("zstackd_drivers").warning("a slow controller")
        assert terminal.screen() == ["a slow controller", "backlash: opening the rig"]
        sys.stderr.write("where the axis stands\n")
        say("plane 1 of 3")
    logging.getLogger("zstackd_drivers").warning("gone")
    assert terminal.screen() == ["a slow controller", "where the axis stands", "gone"]


@pytest.mark.usefixtures("rig")
def test_a_message_is_not_lost_with_the_stream_that_was(monkeypatch: pytest.MonkeyPatch) -> None:
    former = opened(monkeypatch)
    configure_logging(debug=False)
    former.close()
    terminal = opened(monkeypatch)
    logging.getLogger("zstackd_drivers").warning("a slow controller")
    assert terminal.screen() == ["a slow controller"]


def test_standard_output_is_left_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = opened(monkeypatch)
    with live_line("backlash") as say:
        say("opening the rig")
        sys.stdout.write("result\n")
    assert capsys.readouterr().out == "result\n"
    assert "result" not in terminal.getvalue()


def test_nothing_is_shown_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a wish for colours makes no file a terminal
    with live_line("backlash") as say:
        say("opening the rig")
    assert capsys.readouterr() == ("", "")


def test_autofocus_shows_how_far_it_is(
    rig: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = opened(monkeypatch)
    words = ("focus", "auto", "--rig", rig, "--low-um", "-60", "--high-um", "260")
    assert main(words) == 0
    steps = terminal.steps()
    for step in ("opening the rig", "referencing the axis", "locking the exposure"):
        assert f"autofocus: {step}" in steps
    assert "autofocus: coarse plane 1 of 9 at -60.0 µm" in steps
    assert "autofocus: coarse plane 9 of 9 at 260.0 µm" in steps
    assert any(step.startswith("autofocus: fine plane 2 of ") for step in steps)
    assert not any("autofocus: " in line for line in terminal.screen())
    assert capsys.readouterr().out.startswith("best focus at ")


def test_json_is_for_programs(
    rig: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = opened(monkeypatch)
    words = ("focus", "auto", "--rig", rig, "--low-um", "-60", "--high-um", "260", "--json")
    assert main(words) == 0
    assert "autofocus: " not in terminal.getvalue()
    assert json.loads(capsys.readouterr().out)["samples"]


def test_calibrations_show_what_they_do(
    rig: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = opened(monkeypatch)
    assert main(("calibrate", "exposure", "--rig", rig)) == 0
    assert "exposure: letting the camera converge" in terminal.steps()
    assert terminal.screen() == [""]
    assert "Look at:" in capsys.readouterr().out


def test_calibrate_is_silent_without_a_terminal(
    rig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(("calibrate", "exposure", "--rig", rig)) == 0
    assert capsys.readouterr().err == ""


def test_both_surfaces_of_steps_are_told_apart(rig: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = opened(monkeypatch)
    regions = ("--lower", "0,0,80,80", "--upper", "80,40,80,80", "--height-um", "50")
    main(("calibrate", "steps", "--rig", rig, "--low-um", "-60", "--high-um", "260", *regions))
    steps = terminal.steps()
    assert "steps: lower, coarse plane 1 of 9 at -60.0 µm" in steps
    assert "steps: upper, coarse plane 1 of 9 at -60.0 µm" in steps
