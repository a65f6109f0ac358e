"""docs/files.md describes the options that the programs have, all of them and no others."""

import re
from argparse import ArgumentParser
from pathlib import Path

import pytest

from zstackd.stack_command.classic_options import classic_parser
from zstackd.stack_command.options import stack_parser

PAGE = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8")
PARTS = dict(zip(("stack", "focusstack"), PAGE.split("## `focusstack`"), strict=True))
ROOT_OPTIONS = {"--debug"}


def options_of(parser: ArgumentParser) -> set[str]:
    """The long names of a parser's options."""
    text = parser.format_help()
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--help"}


@pytest.mark.parametrize("program", ["stack", "focusstack"])
def test_the_page_and_the_program_name_the_same_options(program: str) -> None:
    parser = stack_parser() if program == "stack" else classic_parser()
    extra = ROOT_OPTIONS if program == "stack" else {"--method"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PARTS[program]))
    described = named - extra
    assert described <= options_of(parser)
    short_only = {"--input", "--output"} if program == "stack" else set()
    assert options_of(parser) - short_only <= described
