"""YAML text to nodes, within bounds of time and memory, and what each scalar means.

Scalars are those of YAML 1.2: `on`, `no`, `1:30` and dates stay text, where YAML 1.1, which PyYAML
speaks by itself, would turn them into something else.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import yaml

MAX_DEPTH: Final = 40
MAX_VALUES: Final = 20_000
_TAG: Final = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Line and column, both counted from 1."""

    line: int
    column: int


START: Final = Place(1, 1)


class YamlError(Exception):
    """The text is no document that could be used; `problems` say where and why."""

    def __init__(self, problems: list[tuple[Place, str]]) -> None:
        super().__init__(problems[0][1])
        self.problems = problems


def place_of(node: yaml.Node) -> Place:
    """Return where a node begins."""
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


class _Loader(yaml.SafeLoader):
    """A safe loader that knows only the scalars of YAML 1.2, and gives up on what explodes."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as in the base

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._values = 0
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node and what is in it; raises YamlError where that is too much."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # PyYAML's stubs
        place = Place(mark.line + 1, mark.column + 1)
        self._values += 1
        if self._values > MAX_VALUES:
            problem = f"more than {MAX_VALUES} keys and values are too many; make the file smaller"
            raise YamlError([(place, problem)])
        if self._depth > MAX_DEPTH:
            raise YamlError([(place, f"nested deeper than {MAX_DEPTH} levels; flatten it")])
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


_Loader.add_implicit_resolver(
    f"{_TAG}null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver(
    f"{_TAG}bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    f"{_TAG}int", re.compile(r"^[-+]?[0-9]{1,300}$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    f"{_TAG}float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def compose(text: str) -> yaml.Node | None:
    """Return the root of the only document of `text`; None where it is empty.

    Raises:
        YamlError: it is not YAML, holds several documents, or is too large or too deep.
    """
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise YamlError([_explained(error, text)]) from error
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1)
        problem = f"character U+{ord(text[error.position]):04X} is not allowed in YAML; remove it"
        raise YamlError([(place, problem)]) from error
    finally:
        if loader is not None:
            loader.dispose()


def _explained(error: yaml.MarkedYAMLError, text: str) -> tuple[Place, str]:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return START, f"not valid YAML: {error.problem}"
    place = Place(mark.line + 1, mark.column + 1)
    problem = error.problem or "not valid YAML"
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return place, "a tab indents this line; YAML wants spaces"
    if "\\t" in problem:
        return place, "a tab stands before this value; YAML wants spaces"
    if "but found another document" in problem:
        return place, "a second document begins here; one file holds one document"
    if "undefined alias" in problem:
        return place, f"{problem}; write an `&` anchor of that name before it"
    return place, f"not valid YAML: {problem}; check indentation, colons and quotes"


def _text(text: str) -> str:
    """Return the text, which must be storable: no NUL, no half of a surrogate pair."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(text)
    return text


def _number(text: str) -> float:
    """Return a floating-point number; YAML writes infinity and not-a-number with a dot before."""
    special = text.lower().lstrip("+-")
    return float(text.replace(".", "", 1) if special in {".inf", ".nan"} else text)


SCALARS: Final[dict[str, Callable[[str], Any]]] = {
    f"{_TAG}str": _text,
    f"{_TAG}int": int,
    f"{_TAG}float": _number,
    f"{_TAG}bool": lambda text: {"true": True, "false": False}[text.lower()],
    f"{_TAG}null": lambda _: None,
}
"""What each tag makes of its text; ValueError, KeyError or OverflowError where it cannot."""

MAPPING: Final = f"{_TAG}map"
SEQUENCE: Final = f"{_TAG}seq"
