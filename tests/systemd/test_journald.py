"""Log lines and their priorities."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zstackd.system.journald import JournalFormatter, is_journal, priority

if TYPE_CHECKING:
    from pathlib import Path


def record(level: int, message: str) -> logging.LogRecord:
    return logging.LogRecord("zstackd", level, __file__, 1, message, None, None)


@pytest.mark.parametrize(
    ("level", "number"),
    [
        (logging.DEBUG, 7),
        (logging.INFO, 6),
        (logging.WARNING, 4),
        (logging.ERROR, 3),
        (logging.CRITICAL, 2),
        (5, 7),
        (logging.ERROR + 1, 3),
    ],
)
def test_priorities_are_those_of_syslog(level: int, number: int) -> None:
    assert priority(level) == number


@given(st.text())
def test_no_text_chooses_its_own_priority(text: str) -> None:
    written = JournalFormatter("%(message)s").format(record(logging.INFO, text))
    assert all(line.startswith("<6>") for line in written.split("\n"))


def test_a_traceback_keeps_its_level() -> None:
    try:
        raise ValueError("bad")
    except ValueError:
        entry = record(logging.ERROR, "failed")
        entry.exc_info = sys.exc_info()
    lines = JournalFormatter("%(message)s").format(entry).split("\n")
    assert lines[0] == "<3>failed"
    assert lines[-1] == "<3>ValueError: bad"
    assert all(line.startswith("<3>") for line in lines)


def test_only_the_stream_that_systemd_named_is_the_journal(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream, (tmp_path / "other").open("w") as other:
        status = os.fstat(stream.fileno())
        environment = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert is_journal(stream, environment)
        assert not is_journal(other, environment)
        assert not is_journal(stream, {})


def test_the_program_writes_priorities_to_the_journal_only(tmp_path: Path) -> None:
    code = (
        "import logging; from zstackd.system.logs import configure_logging;"
        "configure_logging(debug=False); logging.getLogger('x').warning('two\\nlines')"
    )
    texts = []
    for named in (True, False):
        log = tmp_path / f"log-{named}"
        with log.open("w") as stream:
            status = os.fstat(stream.fileno())
            stream_id = f"{status.st_dev}:{status.st_ino}" if named else "1:1"
            subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "JOURNAL_STREAM": stream_id},
                stderr=stream,
                check=True,
            )
        texts.append(log.read_text())
    assert texts == ["<4>two\n<4>lines\n", "two\nlines\n"]
