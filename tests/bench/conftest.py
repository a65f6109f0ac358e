"""A small case of the benchmark, rendered once."""

from dataclasses import replace
from pathlib import Path

import pytest
from bench.cases import CASES, Case
from bench.motion import Motion
from bench.render import render
from bench.truth import Truth

SMALL_PX = (320, 256)


def small(name: str, *, planes: int, motion: Motion | None = None) -> Case:
    """One of the benchmark's cases in little."""
    case = replace(CASES[name].of_size(SMALL_PX, planes), margin_px=24)
    return case if motion is None else replace(case, motion=motion)


@pytest.fixture(scope="session")
def beads(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """Bright balls on a dark ground, 14 planes, nothing moves."""
    return Truth(render(small("beads", planes=14), tmp_path_factory.mktemp("beads")))


def growing() -> Case:
    """Rock that grows, turns and shifts over five planes."""
    motion = Motion(magnification=0.02, rotation_deg=1.0, shift_px=(4.0, -2.0))
    return small("relief", planes=5, motion=motion)


@pytest.fixture(scope="session")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """`growing`, rendered."""
    return Truth(render(growing(), tmp_path_factory.mktemp("moving")))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder
