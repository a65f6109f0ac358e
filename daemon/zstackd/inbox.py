"""The inbox folder: run files that people and programs drop, taken once they are complete."""

import logging
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

from watchdog.events import FileClosedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from zstackd.durable import storage_error, write_text
from zstackd_config.errors import InputError

STABLE_S = 1.0
"""A file whose closing nobody saw counts as complete once it has not changed for so long."""

SUFFIXES = frozenset({".yaml", ".yml"})
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
        self._looks: dict[Path, _Look] = {}
        self._left: dict[Path, _Look] = {}

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
        """Note that a file was closed after writing; wake the service for anything else too."""
        if event.event_type in {"opened", "closed_no_write"}:
            return
        if isinstance(event, FileClosedEvent):
            with self._lock:
                self._closed.add(Path(os.fsdecode(event.src_path)).name)
        self._wake.set()

    def complete(self) -> list[Path]:
        """Return the run files that are complete, in order of arrival."""
        with self._lock:
            closed, self._closed = self._closed, set()
        before = self._looks
        self._looks = {path: _earlier(before.get(path), look) for path, look in self._candidates()}
        found = [
            (look.changed_ns, path)
            for path, look in self._looks.items()
            if (path.name in closed or time.monotonic() - look.since >= STABLE_S)
            and not look.is_same(self._left.get(path))
        ]
        return [path for _, path in sorted(found)]

    def is_waiting(self) -> bool:
        """Return whether a file was seen that may be complete soon."""
        return any(not look.is_same(self._left.get(path)) for path, look in self._looks.items())

    def _candidates(self) -> Iterator[tuple[Path, _Look]]:
        with os.scandir(self.folder) as entries:
            for entry in entries:
                path = self.folder / entry.name
                if path.suffix in SUFFIXES and not entry.name.startswith("."):
                    with suppress(FileNotFoundError):  # taken back since the listing
                        yield path, _Look.at(entry.stat(follow_symlinks=False))

    def leave(self, path: Path) -> None:
        """Leave a file alone, since it cannot be moved, until it changes."""
        look = self._looks.get(path)
        if look is not None:
            self._left[path] = look

    def refuse(self, path: Path, why: str) -> None:
        """Move a bad file aside as `<name>.rejected` and say why in `<name>.error.txt`."""
        _log.warning("inbox: refused %s: %s", path.name, why.splitlines()[0])
        try:
            write_text(path.with_name(f"{path.name}.error.txt"), f"{why}\n")
            path.rename(path.with_name(f"{path.name}.rejected"))
        except OSError as error:
            raise storage_error(error, path) from error


def require_regular(path: Path) -> None:
    """Raise InputError for anything but a plain file; opening a pipe would wait for ever."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise InputError(f"{path.name}: is a link, folder or device; drop a plain file")


def _earlier(before: _Look | None, now: _Look) -> _Look:
    return before if before is not None and now.is_same(before) else now
