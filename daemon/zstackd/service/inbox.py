"""The inbox folder: run files that people and programs drop, taken once they are complete."""

import hashlib
import logging
import math
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileOpenedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from zstackd.store.durable import storage_error, write_text
from zstackd_config.errors import InputError
from zstackd_config.lines import one_line

STABLE_S = 1.0
"""A file whose closing nobody saw counts as complete once it has not changed for so long."""

CLOSED_S = 0.25
"""So long a file that was closed must stay as it is: whoever appends to it opens it again."""

OPEN_S = 60.0
"""So long a file must stay as it is whose writer still has it open: it may have more to write."""

LEFT_S = 10.0
"""So long a file is left alone that could not be taken, for want of room as a rule."""

STRANGE_S = 10.0
"""A file that is no run file is spoken of when it is still there after so long."""

SUFFIXES = frozenset({".yaml", ".yml"})
_ANSWERS = (".error.txt", ".rejected")
_LONGEST_NAME = 255 - len("..error.txt.tmp")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Look:
    """What a file looked like, and since when it looks so (`time.monotonic` seconds)."""

    inode: int
    size_bytes: int
    changed_ns: int
    since: float

    @classmethod
    def at(cls, status: os.stat_result) -> Self:
        return cls(status.st_ino, status.st_size, status.st_ctime_ns, time.monotonic())

    def is_same(self, other: Self | None) -> bool:
        return other is not None and replace(other, since=self.since) == self


class Inbox(FileSystemEventHandler):
    """Watches one folder; sets `wake` when something came, and knows which files are complete.

    Events only make it faster: a scan finds everything too, since inotify loses events and
    network file systems send none.
    """

    def __init__(self, folder: Path, wake: threading.Event) -> None:
        self.folder = folder
        self._wake = wake
        self._lock = threading.Lock()
        self._closed: set[str] = set()
        self._moved: set[str] = set()
        self._created: set[str] = set()
        self._open: set[str] = set()
        self._looks: dict[Path, _Look] = {}
        self._left: dict[Path, _Look] = {}
        self._strangers: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._observer = Observer()
        self._observer.schedule(self, str(self.folder), recursive=False)
        try:
            self._observer.start()
        except OSError as error:
            raise storage_error(error, self.folder) from error
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._observer.stop()
        self._observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note what is being written, was closed after it, or moved in; wake for all else too."""
        name = _name(event.src_path)
        if isinstance(event, FileOpenedEvent):
            with self._lock:
                # Links are created, too, but not opened; later on others may open it to read it.
                self._open |= {name} & self._created
                self._created.discard(name)
            return
        if event.event_type == "closed_no_write":
            return
        with self._lock:
            if isinstance(event, FileCreatedEvent):
                self._created.add(name)
            elif isinstance(event, FileClosedEvent):
                self._closed.add(name)
                self._created.discard(name)
                self._open.discard(name)
            elif isinstance(event, FileMovedEvent):
                self._moved.add(_name(event.dest_path))
        self._wake.set()

    def complete(self) -> list[Path]:
        """Return the run files that are complete, in order of arrival."""
        before, noted = self._looks, self._noted()
        self._looks = {path: _earlier(before.get(path), look) for path, look in self._candidates()}
        found = [
            (look.changed_ns, path)
            for path, look in self._looks.items()
            if time.monotonic() - look.since >= self._needs_s(path)
            and not self._is_left(path, look)
        ]
        self._left = {path: left for path, left in self._left.items() if path in self._looks}
        # Whoever writes anew to what was found now is waited for again.
        gone = noted - {path.name for path in self._looks}
        self._forget(gone | {path.name for _, path in found})
        return [path for _, path in sorted(found)]

    def _needs_s(self, path: Path) -> float:
        """Return how long a file must have stayed as it is."""
        with self._lock:
            if path.name in self._moved:
                return 0.0
            if path.name in self._open:
                return OPEN_S
            return CLOSED_S if path.name in self._closed else STABLE_S

    def _noted(self) -> set[str]:
        with self._lock:
            return self._closed | self._moved | self._created | self._open

    def _forget(self, names: set[str]) -> None:
        with self._lock:
            for noted in (self._closed, self._moved, self._created, self._open):
                noted.difference_update(names)

    def is_waiting(self) -> bool:
        """Return whether a file was seen that may be complete soon."""
        return any(not self._is_left(path, look) for path, look in self._looks.items())

    def _candidates(self) -> Iterator[tuple[Path, _Look]]:
        strangers: list[str] = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                path = self.folder / entry.name
                if entry.name.startswith(".") or entry.name.endswith(_ANSWERS):
                    continue
                if path.suffix.lower() not in SUFFIXES:
                    strangers.append(entry.name)
                    continue
                with suppress(FileNotFoundError):  # taken back since the listing
                    yield path, _Look.at(entry.stat(follow_symlinks=False))
        self._note(strangers)

    def _note(self, strangers: list[str]) -> None:
        """Say once of each file that it is no run file, if it stays: a writer may yet rename it."""
        now = time.monotonic()
        self._strangers = {name: self._strangers.get(name, now) for name in strangers}
        for name, since in self._strangers.items():
            if now - since >= STRANGE_S:
                self._strangers[name] = math.inf
                said = "inbox: %s is left alone: run files end in .yaml or .yml; rename it"
                _log.warning(said, one_line(name))

    def leave(self, path: Path) -> bool:
        """Leave a file alone for a while, or until it changes, since it cannot be moved now.

        Returns whether this is new.
        """
        look, before = self._looks.get(path), self._left.get(path)
        if look is not None:
            self._left[path] = replace(look, since=time.monotonic())
        return look is None or not look.is_same(before)

    def _is_left(self, path: Path, look: _Look) -> bool:
        left = self._left.get(path)
        return look.is_same(left) and left is not None and time.monotonic() - left.since < LEFT_S

    def refuse(self, path: Path, why: str) -> None:
        """Move a bad file aside as `<name>.rejected` and say why in `<name>.error.txt`."""
        why = "\n".join(one_line(line) for line in why.split("\n"))
        _log.warning("inbox: refused %s: %s", one_line(path.name), why.split("\n")[0])
        name = _answerable(path.name)
        try:
            write_text(path.with_name(f"{name}.error.txt"), f"{why}\n")
            path.rename(path.with_name(f"{name}.rejected"))
        except OSError as error:
            raise storage_error(error, path) from error


def require_regular(path: Path) -> None:
    """Raise InputError for anything but a plain file; opening a pipe would wait for ever."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise InputError(f"{path.name}: is a link, folder or device; drop a plain file")


def _name(path: bytes | str) -> str:
    return Path(os.fsdecode(path)).name


def _answerable(name: str) -> str:
    """Return a name, cut off where there would be no room for the endings of answers."""
    data = os.fsencode(name)
    if len(data) <= _LONGEST_NAME:
        return name
    mark = hashlib.sha256(data).hexdigest()[:8]
    return f"{os.fsdecode(data[: _LONGEST_NAME - 9])}~{mark}"


def _earlier(before: _Look | None, now: _Look) -> _Look:
    return before if before is not None and now.is_same(before) else now
