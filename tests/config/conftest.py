"""What the tests of configuration share: files with one thing wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from zstackd_config.errors import ConfigError
from zstackd_config.load import parse_run

Problems = Callable[[str | bytes], tuple[str, ...]]
Problem = Callable[[str | bytes], str]


@pytest.fixture
def problems() -> Problems:
    """Return what tells everything that is wrong with the text of a run."""

    def found(text: str | bytes) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            parse_run(text, name="r.yaml")
        assert str(caught.value) == "\n".join(caught.value.problems)
        return caught.value.problems

    return found


@pytest.fixture
def problem(problems: Problems) -> Problem:
    """Return what tells the only thing that is wrong with the text of a run."""

    def only(text: str | bytes) -> str:
        (line,) = problems(text)
        return line

    return only


@pytest.fixture
def write_rig(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes a valid rig file with changes to its sections."""

    def write(**sections: Any) -> Path:
        rig: dict[str, Any] = {
            "name": "bench",
            "camera": {"driver": "simulated"},
            "optics": {"pixel_size_um": 1, "numerical_aperture": 0.2, "magnification": 4},
            "focus": {
                "driver": "grbl",
                "port": "simulated",
                "limits_um": [0, 100],
                "backlash_um": 5,
                "speed_um_per_s": 100,
                "settle_ms": 10,
            },
            "paths": {"state": "state", "output": "/output"},
        }
        for name, values in sections.items():
            rig[name] = {**rig.get(name, {}), **values}
        path = tmp_path / "rig.yaml"
        path.write_text(yaml.safe_dump(rig))
        return path

    return write
