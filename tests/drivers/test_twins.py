"""A twin as a process of its own: a controller for whoever opens its port."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from zstackd_config.load import load_rig
from zstackd_config.rig import Rig
from zstackd_drivers.clock import ScaledClock
from zstackd_drivers.controllers import make_axis
from zstackd_drivers.factory import open_axis
from zstackd_drivers.serial.port_search import NamedPort

if TYPE_CHECKING:
    from pathlib import Path

RIG: dict[str, Any] = {
    "name": "bench",
    "camera": {"driver": "simulated", "size_px": [160, 120]},
    "optics": {"pixel_size_um": 1.2, "numerical_aperture": 0.12, "magnification": 4},
    "focus": {
        "driver": "marlin",
        "port": "simulated",
        "limits_um": [-100, 400],
        "backlash_um": 10,
        "speed_um_per_s": 1000,
        "settle_ms": 10,
    },
    "paths": {"state": "state", "output": "output"},
    "simulation": {"time_scale": 50},
}


def test_a_twin_serves_until_its_input_ends(tmp_path: Path) -> None:
    rig_file, link = tmp_path / "rig.yaml", tmp_path / "tty"
    rig_file.write_text(yaml.safe_dump(RIG))
    words = (sys.executable, "-m", "zstackd_drivers.twins", str(rig_file), "--link", str(link))
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert str(link.resolve()) == port
        axis = make_axis(
            load_rig(rig_file).focus, port=NamedPort(str(link)), clock=ScaledClock(50.0)
        )
        with axis:
            axis.home()
            assert axis.move_to(100.0).reported_um == pytest.approx(100.0, abs=0.5)
        process.communicate("", timeout=60.0)
    assert process.returncode == 0
    assert not link.is_symlink()


@pytest.mark.parametrize("driver", ["grbl", "marlin"])
def test_a_simulated_rig_that_cannot_home_is_not_warned_of_its_own_twin(
    driver: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    focus = {**RIG["focus"], "driver": driver, "reference": "confirm"}
    rig = Rig.model_validate({**RIG, "focus": focus})
    with caplog.at_level(logging.WARNING), open_axis(rig):
        assert caplog.text == ""
