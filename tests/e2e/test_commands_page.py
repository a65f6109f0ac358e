"""docs/commands.md says what the program says."""

import re
from pathlib import Path

from zstackd.cli import COMMANDS
from zstackd.commands.reference import reference

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "commands.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), (
        "remake it: python -m zstackd.commands.reference > docs/commands.md"
    )


def test_every_command_argument_and_option_has_words() -> None:
    text = reference()
    assert set(re.findall(r"^## `zstackd (\w+)`$", text, flags=re.MULTILINE)) == set(COMMANDS)
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert [row[0] for row in rows if not row[1].strip()] == []


def test_no_page_names_a_command_or_an_option_that_the_program_does_not_have() -> None:
    known = set(re.findall(r"--[a-z][a-z-]+", reference()))
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        used = re.findall(r"\bzstackd ([a-z]+)((?: +[^\n`|]*)?)", text)
        for command, words in used:
            if command in COMMANDS and command != "stack":
                assert set(re.findall(r"(?<!\S)--[a-z][a-z-]+", words)) <= known, (page, command)
