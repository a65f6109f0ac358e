"""docs/api.md and docs/manifest.md say what the program says."""

import re
from pathlib import Path
from typing import get_args

import pytest

from zstackd.api.reference import tables, with_tables
from zstackd.store.journal import Event

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["api.md", "manifest.md"])
def test_the_page_is_current(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert page == with_tables(page, tables()[name]), (
        "remake it: python -m zstackd.api.reference docs"
    )


def test_every_request_and_key_has_words() -> None:
    rows = [line.split(" | ") for made in tables().values() for line in made.splitlines()]
    keys = [row for row in rows if row[0].startswith("| `")]
    assert len(keys) > 100
    assert [row[0] for row in keys if not row[-1].strip(" |")] == []
    assert [row[0] for row in rows if row[0].startswith(("| GET", "| POST")) and not row[1]] == []


def test_every_kind_of_event_of_a_run_is_told() -> None:
    of_series = {"point", "clock_set", "series_ended"}
    told = (DOCS / "api.md").read_text(encoding="utf-8").partition("| kind |")[2].split("\n\n")[0]
    kinds = {
        kind for row in told.splitlines() for kind in re.findall(r"`(\w+)`", row.split(" | ")[0])
    }
    assert kinds == {*get_args(Event), "progress", "service"} - of_series
