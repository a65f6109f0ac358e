"""Writing that survives a power cut: flush the file, flush its folder, then rename."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zstackd_config.errors import StorageError

_BLOCK_BYTES = 1 << 20
_NO_FOLDER_FLUSH = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSUP})
"""Answers of file systems, most of them on a network, that flush files alone."""


def flush_file(path: Path) -> None:
    """Flush one file's contents to the disk; what turned into a pipe is not waited for."""
    _flush(path, os.O_RDONLY | os.O_NONBLOCK)


def flush_folder(path: Path) -> None:
    """Flush one folder's entries to the disk, so that renames in it survive.

    A file system that knows no such thing keeps its folders in order by itself.
    """
    try:
        _flush(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FLUSH:
            raise


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a file of UTF-8 text whole or not at all, as `write_bytes` does."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: hidden sibling, flush, rename, flush of the folder."""
    hidden = path.with_name(f".{path.name}.tmp")
    try:
        hidden.write_bytes(data)
        flush_file(hidden)
        hidden.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            hidden.unlink(missing_ok=True)
        raise storage_error(error, path) from error


def remove_file(path: Path) -> None:
    """Remove a file so that a power cut does not bring it back; harmless where there is none."""
    try:
        path.unlink(missing_ok=True)
        flush_folder(path.parent)
    except OSError as error:
        raise storage_error(error, path) from error


def is_folder(path: Path) -> bool:
    """Return whether a folder is there; False also where it is closed to us, or its server dead."""
    return os.path.isdir(path)  # noqa: PTH112 - pathlib's raises there


def is_file(path: Path) -> bool:
    """Return whether a file is there; False also where `is_folder` would say so."""
    return os.path.isfile(path)  # noqa: PTH113 - pathlib's raises there


def make_folder(path: Path) -> None:
    """Make a folder and its parents, so that they survive; raises StorageError where not."""
    try:
        missing = [each for each in (path, *path.parents) if not each.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for made in missing:
            flush_folder(made.parent)
    except OSError as error:
        raise storage_error(error, path) from error


def probe_writable(folder: Path) -> None:
    """Make the folder where it is missing, and prove that files can be made in it.

    Raises StorageError where not.
    """
    make_folder(folder)
    probe = folder / ".zstackd.probe.tmp"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise storage_error(error, folder) from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def storage_at(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses inside into a StorageError about `path`."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error


def storage_error(error: OSError, path: Path) -> StorageError:
    """Return the one-line error for an operating system's refusal at `path`."""
    reason = error.strerror or str(error)
    return StorageError(
        f"{path}: cannot be written: {reason}; check the folder, its permissions and the free space"
    )
