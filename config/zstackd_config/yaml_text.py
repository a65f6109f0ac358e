"""YAML text to plain values, safely, with the place of each of them.

The scalars are those of YAML 1.2: `on`, `no`, `1:30` and dates stay text, where YAML 1.1 would turn
them into something else. Anything that could hurt is refused: tags, duplicate keys, several
documents, aliases that explode, deep nesting, large files, other encodings than UTF-8.
"""

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 40
MAX_VALUES: Final = 50_000
_MAP_TAG: Final = "tag:yaml.org,2002:map"
_SEQ_TAG: Final = "tag:yaml.org,2002:seq"
_BOM: Final = b"\xef\xbb\xbf"
_SHOWN: Final = 60

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
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


@dataclass(slots=True)
class Document:
    """A mapping of plain values, and where each key and value stands."""

    values: dict[str, Any]
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """A safe loader that knows only the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]{1,300}$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def parse_document(content: bytes) -> Document:
    """Return the only document of `content`, a mapping.

    Raises:
        YamlError: with every problem that can be seen at once.
    """
    node = _compose(_decoded(content))
    if node is None:
        raise YamlError([(START, "the file is empty; it must hold keys and values")])
    if not isinstance(node, yaml.MappingNode):
        raise YamlError([(_place(node), "not a mapping; the file must hold `key: value` lines")])
    builder = _Builder(Document({}))
    values = builder.value(node, ())
    if builder.problems:
        raise YamlError(builder.problems)
    builder.document.values = values
    return builder.document


def _decoded(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise YamlError(
            [(START, f"{len(content)} bytes are too many for a YAML file; at most {MAX_BYTES}")]
        )
    try:
        text = content.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        byte = content[error.start]
        problem = f"byte 0x{byte:02x} is not UTF-8 text; save the file as UTF-8"
        raise YamlError([(Place(line, column), problem)]) from error
    return text


def _compose(text: str) -> yaml.Node | None:
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
    except RecursionError as error:
        raise YamlError([(START, f"nested deeper than {MAX_DEPTH} levels")]) from error
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
    if "\\t" in problem or "\t" in line[: len(line) - len(line.lstrip())]:
        return place, "a tab indents this line; YAML wants spaces"
    if "but found another document" in problem:
        return place, "a second document begins here; one file holds one document"
    if "undefined alias" in problem:
        return place, f"{problem}; write an `&` anchor of that name before it"
    return place, f"not valid YAML: {problem}; check indentation, colons and quotes"


class _Builder:
    """Walks a composed document, noting places and problems."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[tuple[Place, str]] = []
        self._count = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        """Return the plain value of `node`; None where something is wrong with it."""
        self._count += 1
        self.document.places[path] = _place(node)
        if self._count > MAX_VALUES:
            problem = f"more than {MAX_VALUES} values, aliases counted; the file explodes"
            raise YamlError([*self.problems, (_place(node), problem)])
        if len(path) > MAX_DEPTH:
            problem = f"nested deeper than {MAX_DEPTH} levels"
            raise YamlError([*self.problems, (_place(node), problem)])
        if isinstance(node, yaml.MappingNode) and node.tag == _MAP_TAG:
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _SEQ_TAG:
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            if key in values:
                first = self.document.keys[(*path, key)]
                problem = f"key {key!r} is given twice; the first is in line {first.line}"
                self.problems.append((_place(key_node), problem))
                continue
            self.document.keys[(*path, key)] = _place(key_node)
            values[key] = self.value(value_node, (*path, key))
        return values

    def _key(self, node: yaml.Node) -> str | None:
        key: Hashable = self._scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(key, str):
            return key
        if isinstance(node, yaml.ScalarNode) and key is not None:
            return str(node.value)
        self.problems.append((_place(node), "this key is no word; quote it"))
        return None

    def _scalar(self, node: yaml.Node) -> Any:
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _SCALARS:
            problem = f"the tag {_shown(node.tag)} is not allowed; write a plain value"
            self.problems.append((_place(node), problem))
            return None
        try:
            return _SCALARS[node.tag](node.value)
        except (ValueError, KeyError, OverflowError):
            problem = (
                f"{_shown(node.value)} cannot be used as a value; write plain text or a number"
            )
            self.problems.append((_place(node), problem))
            return None


def _text(text: str) -> str:
    """Return the text, which must be storable: no NUL, no half of a surrogate pair."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(text)
    return text


def _number(text: str) -> float:
    """Return a floating-point number; YAML writes infinity and not-a-number with a dot before."""
    special = text.lower().lstrip("+-")
    return float(text.replace(".", "", 1) if special in {".inf", ".nan"} else text)


_SCALARS: Final[dict[str, Callable[[str], Any]]] = {
    "tag:yaml.org,2002:str": _text,
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": _number,
    "tag:yaml.org,2002:bool": lambda text: {"true": True, "false": False}[text.lower()],
    "tag:yaml.org,2002:null": lambda _: None,
}


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
