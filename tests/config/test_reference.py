"""The configuration reference is what the models say."""

from pathlib import Path

from zstackd_config.reference import reference
from zstackd_config.rig import Rig
from zstackd_config.run import Run

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_current() -> None:
    assert DOCS.read_text() == reference(), (
        "remake it: python -m zstackd_config.reference > docs/configuration.md"
    )


def test_every_key_has_words() -> None:
    rows = [line.split(" | ") for line in reference().splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows if not row[-1].strip(" |")] == []
    keys = {row[0].strip("| `") for row in rows}
    assert {*Rig.model_fields, *Run.model_fields} <= keys
