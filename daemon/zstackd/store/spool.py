"""The state folder: inbox, one folder for each accepted run, and the lock on it all."""

import fcntl
import logging
import os
import re
import shutil
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from zstackd.store.arrival import REQUEST, bring
from zstackd.store.durable import flush_folder, make_folder, storage_at, storage_error, write_bytes
from zstackd.store.holder import denied, refuse_root, way_out
from zstackd.store.journal import ENDS, Journal, read_ends, read_journal
from zstackd.store.owner import owner_of
from zstackd_config.errors import StorageError

_log = logging.getLogger(__name__)
_SLUG_LENGTH = 40
_MOST_ALIKE = 10_000
_RUN_ID = re.compile(r"\d{8}T\d{6}Z_[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One accepted run in the spool; the folder's name is the run's id."""

    path: Path

    @property
    def run_id(self) -> str:
        """Return the run's id."""
        return self.path.name

    @property
    def request(self) -> Path:
        """Return the path of the run file as the user wrote it."""
        return self.path / REQUEST

    @property
    def frames(self) -> Path:
        """Return the folder of the captured frames."""
        return self.path / "frames"

    @property
    def journal(self) -> Path:
        """Return the path of the journal."""
        return self.path / "journal.jsonl"


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that was accepted and not yet closed, with the entries of its journal so far."""

    folder: RunFolder
    history: tuple[dict[str, Any], ...]

    @property
    def closed(self) -> bool:
        """Return whether the run has ended."""
        return any(entry["event"] in ENDS for entry in self.history)

    @property
    def is_foreground(self) -> bool:
        """Return whether it was begun by `zstackd run`, which nobody goes on with."""
        return bool(self.history) and bool(self.history[0].get("foreground", False))

    @property
    def started(self) -> dict[str, Any] | None:
        """Return the entry of the run's start; None where it still waits."""
        return next((entry for entry in self.history if entry["event"] == "started"), None)


def _nobody(run_id: str, entry: dict[str, Any]) -> None:
    del run_id, entry


class Spool:
    """The state folder of one rig; entering it takes the lock that keeps other programs out."""

    def __init__(self, state: Path, hear: Callable[[str, dict[str, Any]], None] = _nobody) -> None:
        self._hear = hear
        self.state = state
        self.inbox = state / "inbox"
        self.runs = state / "runs"
        self.series = state / "series"

    def __enter__(self) -> Self:
        refuse_root(self.state)
        make_folder(self.inbox)
        make_folder(self.runs)
        make_folder(self.series)
        self._descriptor = _locked(self.state / "lock")
        try:
            self.owner = owner_of(self.state)
        except StorageError:
            os.close(self._descriptor)
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def journal(self, run: RunFolder) -> Journal:
        """Return the run's journal, to be entered; its entries are heard by who asked to."""
        return Journal(run.journal, partial(self._hear, run.run_id))

    def folders(self) -> list[RunFolder]:
        """Return every run that was accepted, in order of acceptance by their ids."""
        return _accepted_in(self.runs)

    def series_folders(self) -> list[RunFolder]:
        """Return every series that was accepted, oldest first."""
        return _accepted_in(self.series)

    def series_journal(self, series: RunFolder) -> Journal:
        """Return the journal of a series, to be entered."""
        return Journal(series.journal)

    def accept(self, request: Path, *, name: str, keep: bool, **facts: Any) -> RunFolder:
        """Make `request` a run of its own; moves the file in, or copies it where `keep` is set.

        `facts` go into the journal's first line: source, priority and so on. The file's arrival
        in the run's folder is what makes it accepted; a folder without it is a leftover of a
        crash, and the request is still where it was.
        """
        folder = _new_folder(self.runs, name)
        return self._filled(folder, partial(bring, request, keep=keep), name=name, **facts)

    def accept_text(self, document: bytes, *, name: str, **facts: Any) -> RunFolder:
        """Make a document a run of its own; it is on the disk when this returns."""
        return self._filled(
            _new_folder(self.runs, name),
            lambda path: write_bytes(path, document),
            name=name,
            **facts,
        )

    def accept_series(self, request: Path | bytes, *, name: str, **facts: Any) -> RunFolder:
        """Make a file, which is moved in, or a document a series; its runs are accepted later."""
        folder = _new_folder(self.series, name)
        if isinstance(request, bytes):
            return self._filled(folder, lambda path: write_bytes(path, request), name=name, **facts)
        return self._filled(folder, partial(bring, request, keep=False), name=name, **facts)

    def accept_again(self, origin: RunFolder, *, run_id: str, name: str, **facts: Any) -> RunFolder:
        """Make one run of a series; where it was made before, that one is returned."""
        folder = self.runs / run_id
        if RunFolder(folder).request.exists():
            return RunFolder(folder)
        try:
            document = origin.request.read_bytes()
            folder.mkdir(exist_ok=True)
            RunFolder(folder).journal.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(error, folder) from error
        return self._filled(folder, lambda path: write_bytes(path, document), name=name, **facts)

    def _filled(
        self, path: Path, fill: Callable[[Path], None], *, name: str, **facts: Any
    ) -> RunFolder:
        """Give a new folder its journal and, last, the request that makes it accepted."""
        run = RunFolder(path)
        try:
            with storage_at(run.path):
                with Journal(run.journal) as journal:
                    entry = journal.append("accepted", run=run.run_id, name=name, **facts)
                # First the folder itself: no request may move into one that a power cut takes.
                flush_folder(path.parent)
                fill(run.request)
        except StorageError as error:
            if not run.request.exists():
                shutil.rmtree(path, ignore_errors=True)
                raise
            # Whoever were refused now would send it again, and it would be done twice.
            _log.warning("%s: accepted, but a power cut may undo that: %s", run.run_id, error)
        if path.parent == self.runs:
            self._hear(run.run_id, entry)
        return run

    def open_runs(self, check: Callable[[], None] = lambda: None) -> list[OpenRun]:
        """Return every run that was accepted and not closed, in order of acceptance.

        Calls `check` before each one, which may raise: a full spool takes a while.
        """
        runs = []
        for folder in self.folders():
            check()
            try:
                if not _looks_closed(folder):
                    runs.append(OpenRun(folder, tuple(read_journal(folder.journal))))
            except OSError as error:
                said = "%s: left alone: its journal cannot be read: %s"
                _log.error(said, folder.run_id, error.strerror)
        return sorted((run for run in runs if not run.closed), key=_arrival)


def slug(name: str) -> str:
    """Return `name` as a short, safe part of a file name: a-z, 0-9 and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return words[:_SLUG_LENGTH].rstrip("-") or "run"


def _looks_closed(folder: RunFolder) -> bool:
    return any(entry["event"] in ENDS for entry in read_ends(folder.journal))


def _arrival(run: OpenRun) -> tuple[str, str]:
    return (str(run.history[0].get("at", "")) if run.history else "", run.folder.run_id)


def is_run_id(text: str) -> bool:
    """Return whether a text could be a run's id; anything else must never become a path."""
    return _RUN_ID.fullmatch(text) is not None


def _accepted_in(parent: Path) -> list[RunFolder]:
    folders = (RunFolder(path) for path in sorted(parent.iterdir()) if path.is_dir())
    return [folder for folder in folders if folder.request.exists()]


def _new_folder(parent: Path, name: str) -> Path:
    stem = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}_{slug(name)}"
    candidates = (stem if number == 1 else f"{stem}-{number}" for number in range(1, _MOST_ALIKE))
    for candidate in candidates:
        path = parent / candidate
        try:
            path.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise storage_error(error, path) from error
        return path
    raise StorageError(f"{parent}: {_MOST_ALIKE} runs called {stem}; wait a second")


def point_id(series_id: str, point: int) -> str:
    """Return the id of one run of a series."""
    return f"{series_id}-{point:04d}"


def _locked(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except PermissionError as error:
        raise StorageError(denied(path.parent)) from error
    except OSError as error:
        raise storage_error(error, path) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StorageError(
            f"{path.parent}: state folder is in use by process {holder}; {way_out(holder)}"
        ) from None
    with suppress(OSError):  # on a full disk the lock holds all the same, without a name
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
