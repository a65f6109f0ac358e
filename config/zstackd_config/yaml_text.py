"""YAML bytes to plain values, safely, with the place of each of them.

Anything that could hurt is refused: tags, duplicate keys, several documents, aliases that explode,
deep nesting, large files, other encodings than UTF-8.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from zstackd_config.yaml_nodes import (
    MAPPING,
    MAX_DEPTH,
    MAX_VALUES,
    SCALARS,
    SEQUENCE,
    START,
    Place,
    YamlError,
    compose,
    place_of,
)

MAX_BYTES: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"
_WIDE_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
_SHOWN: Final = 60

KeyPath = tuple[str | int, ...]


@dataclass(slots=True)
class Document:
    """A mapping of plain values, where each key and value stands, and every `true` and `false`.

    `problems` are what had to be left out, `unread` the values among it, which are None.
    """

    values: dict[str, Any]
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    switches: dict[KeyPath, bool] = field(default_factory=dict)
    problems: list[tuple[Place, str]] = field(default_factory=list)
    unread: set[KeyPath] = field(default_factory=set)


def parse_document(content: bytes) -> Document:
    """Return the only document of `content`, a mapping.

    Raises:
        YamlError: nothing can be made of it.
    """
    node = compose(_decoded(content))
    if node is None:
        raise YamlError([(START, "the file is empty; it must hold keys and values")])
    if not isinstance(node, yaml.MappingNode):
        raise YamlError([(place_of(node), "not a mapping; the file must hold `key: value` lines")])
    builder = _Builder(Document({}))
    builder.document.values = builder.value(node, ())
    return builder.document


def _decoded(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        problem = f"more than {MAX_BYTES} bytes are too many for a YAML file; make it smaller"
        raise YamlError([(START, problem)])
    if content.startswith(_WIDE_BOMS) or b"\0" in content[:2]:  # half of a wide character
        raise YamlError([(START, "the file is UTF-16; save it as UTF-8")])
    try:
        return content.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
        byte = content[error.start]
        problem = f"byte 0x{byte:02x} is not UTF-8 text; save the file as UTF-8"
        raise YamlError([(Place(line, column), problem)]) from error


class _Builder:
    """Walks a composed document, noting places and problems."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._count = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        """Return the plain value of `node`; None where something is wrong with it."""
        self._count += 1
        self.document.places[path] = place_of(node)
        if self._count > MAX_VALUES:
            problem = f"more than {MAX_VALUES} values, aliases counted; the file explodes"
            raise YamlError([*self.document.problems, (place_of(node), problem)])
        if len(path) > MAX_DEPTH:
            problem = f"nested deeper than {MAX_DEPTH} levels; flatten it"
            raise YamlError([*self.document.problems, (place_of(node), problem)])
        if isinstance(node, yaml.MappingNode) and node.tag == MAPPING:
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == SEQUENCE:
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        value = self._scalar(node, path)
        if isinstance(value, bool):
            self.document.switches[path] = value
        return value

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is None:
                continue
            if key in values:
                first = self.document.keys[(*path, key)]
                problem = f"key {_shown(key)} is given twice, first in line {first.line}; keep one"
                self._leave_out(key_node, problem)
                continue
            self.document.keys[(*path, key)] = place_of(key_node)
            values[key] = self.value(value_node, (*path, key))
        return values

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.value == "<<" and node.style is None:
            self._leave_out(node, "the merge key << of YAML 1.1 is not read; write its keys here")
            return None
        key = self._scalar(node, path) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(key, str):
            return key
        if isinstance(node, yaml.ScalarNode) and key is not None:
            return str(node.value)
        self._leave_out(node, "this key is no word; quote it")
        return None

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        if not isinstance(node, yaml.ScalarNode) or node.tag not in SCALARS:
            self._leave_out(node, f"the tag {_shown(node.tag)} is not allowed; remove it", path)
            return None
        try:
            return SCALARS[node.tag](node.value)
        except (ValueError, KeyError, OverflowError):
            problem = f"{_shown(node.value)} cannot be used; write plain text or a number"
            self._leave_out(node, problem, path)
            return None

    def _leave_out(self, node: yaml.Node, problem: str, path: KeyPath | None = None) -> None:
        self.document.problems.append((place_of(node), problem))
        if path is not None:
            self.document.unread.add(path)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
