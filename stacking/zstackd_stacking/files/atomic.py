"""Files that appear whole or not at all."""

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from zstackd_config.errors import InputError, StorageError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file beside `path`, open for writing, that takes its place when the block ends well.

    It is forced to disk before it is renamed; where the block raises, it is removed.

    Raises:
        StorageError: the disk is full or the folder cannot be written; `path` is as it was.
    """
    target = path.resolve()
    hidden = target.with_name(f".{target.name[:80]}.{os.urandom(4).hex()}.tmp")
    try:
        with hidden.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        # numpy counts what the disk took instead of saying why it took no more.
        reason = os.strerror(error.errno or errno.ENOSPC)
        raise StorageError(f"{path}: cannot be written: {reason}") from error
    finally:
        with contextlib.suppress(OSError):  # renamed already, or never made
            hidden.unlink()


def write_atomically(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write `parts` to a new file beside `path`, force it to disk, and rename it into place.

    Raises:
        StorageError: as `replacing`.
    """
    with replacing(path) as file:
        for part in parts:
            file.write(part)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Many network file systems flush no folders, and say so in these ways.
        if error.errno not in {errno.EINVAL, errno.EBADF, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)


def require_writable(path: Path, *, inputs: Iterable[Path] = ()) -> None:
    """Refuse, before long work, an output path that cannot be written or is one of the inputs.

    Raises:
        InputError: the folder is missing or closed, `path` is a folder, or is an input.
    """
    folder = path.resolve().parent
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise InputError(f"{path}: the output folder {folder} {what}; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the output folder {folder} is not writable")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file in it, such as {path / 'stack.png'}")
    if path.exists():
        _require_no_input(path, inputs)


def _require_no_input(path: Path, inputs: Iterable[Path]) -> None:
    for frame in inputs:
        if frame.exists() and path.samefile(frame):
            raise InputError(
                f"{path}: is one of the input frames ({frame}) and would be overwritten; "
                "name another output"
            )
