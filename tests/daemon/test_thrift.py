"""What is given back after a run: code that is in memory as in its file, and nothing else."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from zstackd.system.thrift import give_back, unchanged_code

SMAPS = Path("/proc/self/smaps")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def mapping(permissions: str, file: str, anonymous_kib: int, start: int = 0x7F0000000000) -> str:
    inode = 77 if file.startswith("/") else 0
    return (
        f"{start:x}-{start + 0x2000:x} {permissions} 00001000 08:01 {inode}      {file}\n"
        "Size:                  8 kB\nRss:                   8 kB\n"
        f"Anonymous:      {anonymous_kib:8} kB\nVmFlags: rd ex mr mw me\n"
    )


@pytest.mark.parametrize(
    ("permissions", "file", "anonymous_kib", "given"),
    [
        ("r-xp", "/usr/lib/a library.so", 0, True),
        ("r-xp", "/usr/lib/relocated.so", 4, False),
        ("r--p", "/usr/lib/library.so", 0, False),
        ("rw-p", "/usr/lib/library.so", 0, False),
        ("r-xp", "[vdso]", 0, False),
        ("r-xp", "", 0, False),
        ("rw-p", "[heap]", 0, False),
    ],
)
def test_only_unchanged_code_of_files_is_given_back(
    permissions: str, file: str, anonymous_kib: int, *, given: bool
) -> None:
    text = mapping("rw-p", "[heap]", 8) + mapping(permissions, file, anonymous_kib)
    text += mapping("rw-p", "", 0, 0x7F1000000000)
    expected = [(0x7F0000000000, 0x7F0000002000)] if given else []
    assert list(unchanged_code(text.splitlines(keepends=True))) == expected


@on_linux
def test_the_code_of_this_process_leaves_memory_and_all_goes_on_as_before() -> None:
    values = np.arange(1000.0)
    before, total = code_kib(), float(np.sqrt(values).sum())
    give_back()
    after = code_kib()
    assert sum(after) < sum(before) / 2
    assert float(np.sqrt(values).sum()) == total


def code_kib() -> list[int]:
    """KiB in memory of each mapping of code."""

    def sizes() -> Iterator[int]:
        is_code = False
        for line in SMAPS.read_text(errors="replace").splitlines():
            words = line.split()
            if not words[0].endswith(":"):
                is_code = words[1] == "r-xp"
            elif is_code and words[0] == "Rss:":
                yield int(words[1])

    return list(sizes())
