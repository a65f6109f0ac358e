"""`zstackd calibrate steps`: a unit of another length leaves the motor's limits where they are."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.rigs import merged, simulated_rig

from zstackd.cli import main
from zstackd.commands import calibrate
from zstackd.runs.autofocus import FocusSample, FoundFocus
from zstackd_config.rig import Rig

WORDS = ("--low-um", "0", "--high-um", "150", "--height-um", "50")
REGIONS = ("--lower", "0,0,40,40", "--upper", "60,0,40,40")
FOCUS = {"origin_um": 400, "um_per_unit": 1000, "limits_um": [-90, 399]}


class Bench:
    """Runs the command on a rig whose two surfaces are in focus at given heights."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.document = simulated_rig(focus=FOCUS, optics={"breathing_per_mm": 0.03})
        self._file = folder / "rig.yaml"
        self._file.write_text(yaml.safe_dump(self.document))
        self._folder = folder
        self._monkeypatch = monkeypatch

    def __call__(self, *heights_um: float) -> int:
        left = iter(heights_um)

        def find_focus(*_words: Any, **_options: Any) -> FoundFocus:
            z_um = next(left)
            return FoundFocus(z_um, 0.9, (), (FocusSample(z_um, 1.0),))

        self._monkeypatch.setattr(calibrate, "find_focus", find_focus)
        return main(["calibrate", "steps", "--rig", str(self._file), *WORDS, *REGIONS])

    def fragment(self) -> dict[str, Any]:
        (path,) = self._folder.glob("state/calibration/*/fragment.yaml")
        fragment: dict[str, Any] = yaml.safe_load(path.read_text())
        return fragment


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path, monkeypatch)


def places(rig: Rig) -> list[float]:
    """Return the limits in units of the controller, which are where they are."""
    focus = rig.focus
    return [(limit_um - focus.origin_um) / focus.um_per_unit for limit_um in focus.limits_um]


def test_the_pasted_fragment_keeps_the_limits_in_place(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(20, 120) == 0
    said = "limits_um -90 to 399 µm become -45 to 199.5 µm, the same places of the motor: copy all"
    assert said in capsys.readouterr().out
    before = Rig.model_validate(bench.document)
    after = Rig.model_validate(merged(bench.document, bench.fragment()))
    assert after.focus.um_per_unit == 500
    assert places(after) == pytest.approx(places(before), abs=1e-4)
    assert after.focus.backlash_um == before.focus.backlash_um / 2
    assert after.focus.speed_um_per_s == before.focus.speed_um_per_s / 2
    assert after.optics.breathing_per_mm == 0.06


def test_an_axis_that_goes_down_where_it_should_go_up(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(120, 20) == 2
    assert "turn the sign of focus.um_per_unit" in capsys.readouterr().err
