"""What a run asks of the stacker."""

from typing import Any

import pytest

import zstackd.runs.fusing
from zstackd_config.rig import MOST_BREATHING_PER_MM
from zstackd_config.run import Stacking
from zstackd_stacking import StackOptions


class _AskedError(Exception):
    pass


def test_a_run_believes_no_magnification_that_no_rig_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[StackOptions] = []

    def stacker(options: StackOptions) -> None:
        asked.append(options)
        raise _AskedError

    monkeypatch.setattr(zstackd.runs.fusing, "make_stacker", stacker)
    nothing: Any = None
    fusing = zstackd.runs.fusing.Fusing(
        store=nothing, frames=[0], options=Stacking(), breathing_per_mm=0.02,
        high_is_near=True, timings=nothing, halt=nothing, pulse=nothing, tell=nothing,
    )  # fmt: skip
    with pytest.raises(_AskedError):
        fusing.run()
    assert asked[0].breathing_per_um == 0.02 / 1000
    assert asked[0].most_breathing_per_um == MOST_BREATHING_PER_MM / 1000
