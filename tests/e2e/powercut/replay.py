"""What a disk may hold after a power cut: a recorded history, without what was not flushed.

The rules are those of POSIX, with the one promise that journaling file systems add: a rename
between two folders happens in both of them or in neither. A flush of a file makes its bytes
last, a flush of a folder the changes of its entries so far; everything else may be lost, kept,
or, if bytes, be torn.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

Policy = Literal["all kept", "all lost", "data lost", "torn"]


class Record(NamedTuple):
    """One change: its kind, the numbers of its line, and what followed it."""

    kind: str
    numbers: tuple[int, ...]
    names: tuple[str, ...] = ()
    data: bytes = b""

    @property
    def folders(self) -> tuple[int, ...]:
        """The inodes of the folders whose entries it changes."""
        match self.kind:
            case "create" | "mkdir":
                return (self.numbers[1],)
            case "rename":
                return self.numbers[1:3]
            case "remove":
                return (self.numbers[0],)
        return ()

    @property
    def is_of_bytes(self) -> bool:
        return self.kind in {"write", "truncate"}


def read_log(path: Path) -> list[Record]:
    """Return the records of a log; one torn at the end by the death of its program is left out."""
    data, at = path.read_bytes(), 0
    records = []
    while (end := data.find(b"\n", at)) >= 0:
        kind, *words = data[at:end].decode().split()
        numbers = tuple(map(int, words))
        sizes = numbers[3:] if kind == "rename" else numbers[-1:]
        at = end + 1
        parts = []
        for size in sizes:
            parts.append(data[at : at + size])
            at += size
        if at > len(data):
            break
        is_data = kind in {"write", "mark"}
        names = () if is_data else tuple(part.decode() for part in parts if part)
        records.append(Record(kind, numbers, names, parts[0] if is_data else b""))
    return records


@dataclass
class Node:
    """A file's bytes or a folder's entries; one inode's number may name several over time."""

    is_folder: bool
    data: bytearray = field(default_factory=bytearray)
    entries: dict[str, Node] = field(default_factory=dict)

    def write(self, at: int, data: bytes) -> None:
        self.resize(max(len(self.data), at))
        self.data[at : at + len(data)] = data

    def resize(self, size: int) -> None:
        del self.data[size:]
        self.data.extend(bytes(size - len(self.data)))

    def files(self, below: str = "") -> dict[str, bytes]:
        """Return every file's path and bytes; folders end in a slash and have none."""
        found: dict[str, bytes] = {}
        for name, node in self.entries.items():
            path = f"{below}{name}"
            if node.is_folder:
                found[f"{path}/"] = b""
                found |= node.files(f"{path}/")
            else:
                found[path] = bytes(node.data)
        return found

    def put_on_disk(self, folder: Path) -> None:
        for path, data in self.files().items():
            if path.endswith("/"):
                (folder / path).mkdir()
            else:
                (folder / path).write_bytes(data)


def after_cut(
    records: list[Record], root: int, policy: Policy, chance: random.Random | None = None
) -> Node:
    """Return the root folder as a disk may hold it after these records, and no more."""
    lasting = _lasting(records)
    chance = chance or random.Random(0)  # noqa: S311 - no secret
    # Journals keep the order of what they keep, so entries are lost from some moment on.
    entries_until = chance.randrange(len(records) + 1)
    nodes = {root: Node(is_folder=True)}
    for number, record in enumerate(records):
        lasts = lasting[number] or policy == "all kept"
        if record.is_of_bytes:
            data = record.data
            if not lasts and policy == "torn" and chance.random() < 0.5:
                data, lasts = data[: chance.randrange(len(data) + 1)], True
            # The programs' own logs were there before, and are not recorded.
            if lasts and record.numbers[0] in nodes:
                _change_bytes(nodes[record.numbers[0]], record, data)
            continue
        if record.kind in {"create", "mkdir"}:
            nodes[record.numbers[0]] = Node(is_folder=record.kind == "mkdir")
        kept = policy == "data lost" or (policy == "torn" and number < entries_until)
        if lasts or kept:
            _change_entries(nodes, record)
    return nodes[root]


def _lasting(records: list[Record]) -> list[bool]:
    """Return of each record whether a later flush made it last."""
    lasting = [False] * len(records)
    open_changes: dict[int, list[int]] = defaultdict(list)
    for number, record in enumerate(records):
        if record.kind == "flush":
            for earlier in open_changes.pop(record.numbers[0], ()):
                lasting[earlier] = True
            continue
        if record.kind in {"create", "mkdir"}:
            open_changes.pop(record.numbers[0], None)  # the number of something that is gone
        owners = record.numbers[:1] if record.is_of_bytes else record.folders
        for owner in owners:
            open_changes[owner].append(number)
    return lasting


def _change_bytes(node: Node, record: Record, data: bytes) -> None:
    if record.kind == "truncate":
        node.resize(record.numbers[1])
    else:
        node.write(record.numbers[1], data)


def _change_entries(nodes: dict[int, Node], record: Record) -> None:
    match record:
        case Record("create" | "mkdir", (inode, folder, *_), (name,)):
            nodes[folder].entries[name] = nodes[inode]
        case Record("remove", (folder, *_), (name,)):
            nodes[folder].entries.pop(name, None)
        case Record("rename", (inode, folder, folder2, *_), (name, name2)):
            nodes[folder].entries.pop(name, None)
            nodes[folder2].entries[name2] = nodes[inode]
