"""The examples that come with the program are valid."""

import re
from pathlib import Path

import pytest

from zstackd_config.focus import OVERSHOOT_PER_BACKLASH
from zstackd_config.load import load_rig, load_run

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"
RIGS = sorted(EXAMPLES.glob("rig.*.yaml"))
RUNS = sorted(EXAMPLES.glob("run.*.yaml"))


def test_there_are_two_rigs_and_three_runs_at_least() -> None:
    assert {"rig.simulated.yaml", "rig.hq-grbl.yaml"} <= {path.name for path in RIGS}
    assert len(RUNS) >= 3


@pytest.mark.parametrize("path", RIGS, ids=lambda path: path.name)
def test_each_rig_loads(path: Path) -> None:
    assert load_rig(path).name


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_each_run_loads_and_has_planes(path: Path) -> None:
    assert len(load_run(path).planes_um(0.0, largest_step_um=10.0)) > 1


def test_the_run_around_the_focus_says_what_the_simulated_rig_needs_for_it() -> None:
    path = EXAMPLES / "run.around-focus.yaml"
    height = re.search(r"zstackd focus move (\d+)` on the simulated rig", path.read_text())
    assert height is not None
    planes_um = load_run(path).planes_um(float(height[1]))
    focus = load_rig(EXAMPLES / "rig.simulated.yaml").focus
    low, high = focus.limits_um
    assert low + OVERSHOOT_PER_BACKLASH * focus.backlash_um <= min(planes_um)
    assert max(planes_um) <= high


def test_the_demo_keeps_within_its_own_folder() -> None:
    rig = load_rig(EXAMPLES / "rig.simulated.yaml")
    root = EXAMPLES.parents[1].resolve()
    assert rig.paths.state.resolve() == root / "demo" / "state"
    assert rig.paths.output.resolve() == root / "demo" / "output"
