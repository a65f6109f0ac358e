"""README and docs: links lead somewhere, YAML is accepted, messages are the program's own."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.rigs import merged

from zstackd_config.load import load_rig, load_run

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMENTED_KEY = re.compile(r"^(\s+)# (\w+: )", re.MULTILINE)
LEAST_WORDS = 5


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    bare = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in bare}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings_that_there_are(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {ROOT / link for link in LINK.findall((ROOT / "README.md").read_text("utf-8"))}
    assert set((ROOT / "docs").glob("*.md")) <= linked


FRAGMENTS = [
    pytest.param(text, id=f"{name(page)}-{number}")
    for page in PAGES
    for number, text in enumerate(YAML_BLOCK.findall(page.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("text", FRAGMENTS)
def test_yaml_is_accepted_with_what_is_commented_out_too(text: str, tmp_path: Path) -> None:
    for words in (text, COMMENTED_KEY.sub(r"\1\2", text)):
        file = tmp_path / "document.yaml"
        file.write_text(words, encoding="utf-8")
        content: dict[str, Any] = yaml.safe_load(words)
        if "z_plan" in content:
            assert load_run(file).planes_um(0.0, largest_step_um=10.0)
            continue
        example = yaml.safe_load((ROOT / "config/examples/rig.simulated.yaml").read_text("utf-8"))
        for section, values in content.items():
            if "driver" in values:
                del example[section]
        file.write_text(yaml.safe_dump(merged(example, content)), encoding="utf-8")
        load_rig(file)


def test_messages_in_the_table_of_faults_are_the_drivers_own() -> None:
    said: list[str] = []
    for source in (ROOT / "drivers" / "zstackd_drivers").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                said.append(
                    "".join(
                        getattr(part, "value", "…")
                        for part in node.values
                        if isinstance(part, ast.Constant)
                    )
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                said.append(node.value)
    everything = "\n".join(said)
    page = (ROOT / "docs" / "drivers.md").read_text(encoding="utf-8")
    table = page.partition("## How faults look")[2].partition("\n## ")[0]
    quoted = re.findall(r"^\| `(.+)` \|", table, re.MULTILINE)
    pieces = [
        piece.strip(" :;,'()")
        for quote in quoted
        for piece in re.split(r"…|'|\d+ µm|\d+ s\b|GRBL 1\.1|ALARM:1|dialout", quote)
    ]
    pieces = [piece for piece in pieces if len(piece) >= LEAST_WORDS and "error:15" not in piece]
    assert len(pieces) > len(quoted)
    assert [piece for piece in pieces if piece not in everything] == []
