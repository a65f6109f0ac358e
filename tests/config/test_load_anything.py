"""Whatever bytes a file holds, it becomes a run or a located list of problems."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from zstackd_config.camera import UvcCamera
from zstackd_config.errors import ConfigError
from zstackd_config.focus import GrblFocus
from zstackd_config.load import load_rig, parse_run
from zstackd_config.rig import Rig
from zstackd_config.run import Run

LINE = re.compile(r"^r\.yaml:[1-9][0-9]*:[1-9][0-9]*: .+$")
HINTS = "name: a\nz_plan: {range: 4, step: 1}\n[]{}&*!|>'\"%@`#,?:-\t\\ é\u2028\x85"


def is_run_or_problems(content: bytes) -> bool:
    try:
        return isinstance(parse_run(content, name="r.yaml"), Run)
    except ConfigError as error:
        return bool(error.problems) and all(LINE.match(line) for line in error.problems)


@given(st.binary(max_size=400))
def test_any_bytes(content: bytes) -> None:
    assert is_run_or_problems(content)


@given(st.text(alphabet=HINTS, max_size=200))
def test_any_text_that_looks_like_yaml(text: str) -> None:
    assert is_run_or_problems(text.encode("utf-8", "surrogatepass"))


INNER = ["step", "top", "range", "absolute", "mode", "interval", "loops", "duration", "minutes"]
KEYS = st.sampled_from([*Run.model_fields, *INNER, "z_plann", "1", "null"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=8))
def test_any_mapping_of_known_keys(values: dict[str, object]) -> None:
    assert is_run_or_problems(_dumped(values))


RIG_KEYS = st.sampled_from(
    [*Rig.model_fields, *GrblFocus.model_fields, *UvcCamera.model_fields, "path", "state"]
)
DRIVERS = st.sampled_from(["grbl", "marlin", "uvc", "folder", "gbrl"])


@given(st.dictionaries(RIG_KEYS, st.dictionaries(RIG_KEYS, VALUES | DRIVERS, max_size=6)))
def test_any_sections_of_a_rig(sections: dict[str, object]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "r.yaml"
        path.write_bytes(_dumped(sections))
        with pytest.raises(ConfigError) as caught:
            load_rig(path)
    assert all(LINE.match(line.removeprefix(f"{folder}/")) for line in caught.value.problems)


def _dumped(values: object) -> bytes:
    text: str = yaml.safe_dump(values, allow_unicode=True)
    return text.encode("utf-8", "surrogatepass")
