"""The journal of one run: what is about to happen, flushed to disk before it does."""

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from zstackd.store.durable import flush_folder, storage_error

Event = Literal[
    "accepted",
    "started",
    "focusing",
    "focused",
    "planned",
    "exposure_locked",
    "plane",
    "frame",
    "captured",
    "stacked",
    "publishing",
    "published",
    "failed",
    "interrupted",
    "cancelled",
    "frames_dropped",
    "waiting",
    "paused",
    "resumed",
    "consumed",
    "hook",
    "result_deleted",
    "skipped",
    "late",
    "point",
    "clock_set",
    "series_ended",
]

ENDS: frozenset[Event] = frozenset({"published", "failed", "interrupted", "cancelled", "skipped"})

DAMAGE: Final = (LookupError, TypeError, ValueError)
"""What reading the facts of an entry raises that was spoilt on the disk."""

Hear = Callable[[dict[str, Any]], None]
"""Called with each entry once it is on the disk, in the thread that wrote it."""


def nobody(entry: dict[str, Any]) -> None:
    """Hear nothing."""
    del entry


_END_BYTES: Final = 4096
_EVENT_BYTES: Final = 80
"""Within so many bytes a line names its event."""

_PATIENCE_S: Final = 1.0
_CLOSED: Final = -1


class Journal:
    """Appends one JSON line for each event; returns only once the line is on the disk.

    Safe from any thread. A line that a power cut tore is closed by a newline on the next opening
    and left out by `read_journal`.
    """

    def __init__(self, path: Path, hear: Hear = nobody) -> None:
        self.path = path
        self._hear = hear
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        is_new = not self.path.exists()
        try:
            self._descriptor = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
            )
            if is_new:
                flush_folder(self.path.parent)
            self._mend()
        except OSError as error:
            raise storage_error(error, self.path) from error
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Left open where a thread hangs in it: its number must not become another file's.
        if self._lock.acquire(timeout=_PATIENCE_S):
            os.close(self._descriptor)
            self._descriptor = _CLOSED
            self._lock.release()

    def append(self, event: Event, **facts: Any) -> dict[str, Any]:
        """Write `event` with its `facts` (JSON values) and return the entry.

        Raises StorageError where that fails.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"at": now, "event": event, **facts}
        line = json.dumps(entry, ensure_ascii=False)
        try:
            with self._lock:
                # Names that are no Unicode stay readable, as the escapes JSON has for them.
                self._write(line.encode(errors="backslashreplace") + b"\n")
                self._hear(entry)
        except OSError as error:
            raise storage_error(error, self.path) from error
        return entry

    def _write(self, data: bytes) -> None:
        """Append and flush; what cannot be written whole is taken back, to spoil no later line."""
        size = os.fstat(self._descriptor).st_size
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fdatasync(self._descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, size)
            raise

    def _mend(self) -> None:
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            self._write(b"\n")


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a journal in order; none where the file is missing.

    A line torn by a power cut is left out: what it announced was not begun.
    """
    try:
        # Of bytes: text has line ends that stand in a name as they are.
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [entry for line in lines if (entry := _entry(line)) is not None]


def read_milestones(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a journal; planes are left out, and frames have no facts.

    A journal has two lines for each plane, which take long to read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    entries = []
    for line in lines:
        start = line[:_EVENT_BYTES]
        if b'"event": "frame"' in start and line.endswith(b"}"):
            entries.append({"event": "frame"})
        elif b'"event": "plane"' not in start:
            entry = _entry(line)
            entries += [] if entry is None else [entry]
    return entries


def read_ends(path: Path) -> list[dict[str, Any]]:
    """Return the first whole line of a journal and the last few, whatever its length.

    Enough to tell how a closed run ended, without reading what happened at every plane.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_END_BYTES)
            size = stream.seek(0, os.SEEK_END)
            start = max(len(head), size - _END_BYTES)
            stream.seek(start)
            tail = stream.read()
    except FileNotFoundError:
        return []
    if start == len(head):
        lines = (head + tail).splitlines()
    else:
        lines = [head.split(b"\n", 1)[0], *tail.splitlines()[1:]]
    return [entry for line in lines if (entry := _entry(line)) is not None]


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line.decode("utf-8", errors="replace"))
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "event" in entry else None
