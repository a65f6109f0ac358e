"""Publishing: a hidden folder beside the results, filled and flushed, then one rename."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zstackd.runs.manifest import Manifest, PublishedFile
from zstackd.runs.result_files import ResultFile, result_files
from zstackd.store.durable import flush_folder, is_folder, sha256_of, storage_error, write_text
from zstackd.store.output_mount import NAME as MOUNT_NAME
from zstackd_config.errors import StorageError
from zstackd_config.rig import Optics
from zstackd_config.run import Output
from zstackd_stacking import StackResult
from zstackd_stacking.workers import mapped

_AT_ONCE = 2
"""Files in work: with more of them a result of many pixels could take more memory than stacking."""
_MOST_NAMES = 1000


@dataclass(frozen=True, slots=True)
class Publisher:
    """Makes the result of one run appear in the output folder, whole or not at all.

    `owner` is the spool's own word: another service may publish a run of the same id there.
    `mount` is the mount point that must be there, so that nothing is put into the empty folder
    under it.
    """

    output: Path
    run_id: str
    owner: str
    mount: Path | None = None

    @property
    def hidden(self) -> Path:
        """Return the folder in which the result is put together."""
        return self.output / f".{self.run_id}.{self.owner}.tmp"

    def require_place(self) -> None:
        """Raise StorageError where the output folder is not there now; it is never made anew."""
        if self.mount is not None and not os.path.ismount(self.mount):
            raise StorageError(
                f"{self.output}: the output folder is not there: nothing is mounted at "
                f"{self.mount}; mount it, or delete {MOUNT_NAME} in the state folder and restart"
            )
        if not is_folder(self.output):
            raise StorageError(f"{self.output}: the output folder is not there; mount or make it")

    def prepare(
        self,
        result: StackResult,
        settings: Output,
        *,
        optics: Optics,
        exposures_s: Mapping[int, float],
    ) -> tuple[PublishedFile, ...]:
        """Write every file but the manifest into the hidden folder and return what they are.

        Two cores share them. `exposures_s` are the exposure times in seconds of the frames, by
        their index.
        """
        self.require_place()
        self.discard()
        self._make_hidden()
        files = result_files(
            result,
            settings,
            pixel_size_um=optics.pixel_size_um,
            high_is_near=optics.viewed_from == "above",
            exposures_s=exposures_s,
        )
        return tuple(mapped(self._written, files, most=_AT_ONCE))

    def _written(self, file: ResultFile) -> PublishedFile:
        path = self.hidden / file.name
        file.write(path)
        return PublishedFile(
            name=file.name, role=file.role, bytes=path.stat().st_size, sha256=sha256_of(path)
        )

    def _make_hidden(self) -> None:
        try:
            self.hidden.mkdir()
        except OSError as error:
            raise storage_error(error, self.hidden) from error

    def free_name(self) -> str:
        """Return the result's folder name: the run's id, numbered where that is taken."""
        names = [self.run_id, *(f"{self.run_id}-{number}" for number in range(2, _MOST_NAMES))]
        for name in names:
            if not (self.output / name).exists():
                return name
        raise StorageError(f"{self.output}: {_MOST_NAMES} results called {self.run_id}; move some")

    def place(self) -> str:
        """Return what tells this output folder from another one mounted under the same name."""
        status = os.statvfs(self.output)
        return f"{status.f_fsid}:{self.output.stat().st_ino}"

    def complete(self, manifest: Manifest) -> None:
        """Write the manifest and flush: from now on the hidden folder is a whole result."""
        write_text(self.hidden / "manifest.json", manifest.model_dump_json(indent=2) + "\n")
        try:
            flush_folder(self.hidden)
            flush_folder(self.output)
        except OSError as error:
            raise storage_error(error, self.hidden) from error

    def appear(self, name: str) -> Path:
        """Rename the whole hidden folder to `name`, and flush: the result is out."""
        target = self.output / name
        try:
            self.hidden.rename(target)
        except OSError as error:
            raise storage_error(error, target) from error
        self.flush()
        return target

    def flush(self) -> None:
        """Make sure that a result that appeared stays after a power cut."""
        try:
            flush_folder(self.output)
        except OSError as error:
            raise storage_error(error, self.output) from error

    def discard(self) -> None:
        """Remove the hidden folder and what is in it; harmless where there is none."""
        try:
            with suppress(FileNotFoundError):
                shutil.rmtree(self.hidden)
        except OSError as error:
            raise storage_error(error, self.hidden) from error
