"""The bars of a run on terminals of any width."""

import pytest

from zstackd.terminal.show import ProgressBars


@pytest.mark.parametrize("width", [30, 44, 45, 80, 200])
def test_the_counter_is_whole_however_narrow_the_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    with ProgressBars() as bars:
        bars("capture", 120, 401)
        bars("stack", 7, 401)
        bars("publish", 1, 3)
    shown = capsys.readouterr().err
    for words in ("capturing planes", "120/401", "7/401", "writing the result", "1/3"):
        assert words in shown
