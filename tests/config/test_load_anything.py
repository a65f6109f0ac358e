"""Whatever bytes a file holds, it becomes a run or a located list of problems."""

import re

from hypothesis import given
from hypothesis import strategies as st

from zstackd_config.errors import ConfigError
from zstackd_config.load import parse_run
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


KEYS = st.sampled_from([*Run.model_fields, "z_plann", "step", "top", "mode", "1", "null"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=8))
def test_any_mapping_of_known_keys(values: dict[str, object]) -> None:
    import yaml  # noqa: PLC0415 - only this test writes YAML

    text = yaml.safe_dump(values, allow_unicode=True)
    assert is_run_or_problems(text.encode("utf-8", "surrogatepass"))
