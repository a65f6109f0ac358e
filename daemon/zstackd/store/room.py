"""Is there room? Bytes on disk and memory, before a run and at each plane."""

import os
from pathlib import Path

from zstackd_config.errors import StorageError


class NoRoom(StorageError):
    """A file system is too full for what is to be written; nothing was.

    `lack` is what there is no room for, and where; how much is needed and free changes.
    """

    def __init__(self, message: str, lack: str) -> None:
        super().__init__(message)
        self.lack = lack


class NoMemory(StorageError):
    """The system has too little memory for what is to be done."""


RESERVE_BYTES = 64 << 20
"""Usually kept free on every file system, so that journals and logs can still be written."""


_MANY_BYTES = 10_000_000_000


def free_bytes(path: Path) -> int:
    """Return the bytes an unprivileged program may still write at `path`."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def available_memory_bytes() -> int | None:
    """Return what the system could give without swapping; None where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def require_disk(
    path: Path, needed_bytes: int, *, what: str, reserve_bytes: int = RESERVE_BYTES
) -> None:
    """Raise NoRoom where `path` has no room for `needed_bytes` beyond the reserve."""
    free = free_bytes(path)
    if free < needed_bytes + reserve_bytes:
        lack = f"{path}: {what}"
        raise NoRoom(
            f"{lack} needs {readable(needed_bytes)} and {readable(reserve_bytes)} in reserve, "
            f"{readable(free)} are free; make room",
            lack,
        )


def require_room(*needs: tuple[Path, int], reserve_bytes: int = RESERVE_BYTES) -> None:
    """Raise NoRoom where folders have no room for their bytes together.

    A folder that does not exist yet counts as its nearest parent; those on one file system share.
    """
    by_device: dict[int, tuple[Path, int]] = {}
    for folder, needed_bytes in needs:
        path = _existing(folder)
        device = path.stat().st_dev
        first, sum_bytes = by_device.get(device, (path, 0))
        by_device[device] = (first, sum_bytes + needed_bytes)
    for path, needed_bytes in by_device.values():
        require_disk(path, needed_bytes, what="the run", reserve_bytes=reserve_bytes)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def require_memory(needed_bytes: int) -> None:
    """Raise NoMemory where the system could not give `needed_bytes` of memory."""
    available = available_memory_bytes()
    if available is not None and available < needed_bytes:
        raise NoMemory(
            f"memory: the run needs {readable(needed_bytes)}, {readable(available)} are "
            "available; end other programs or choose a smaller camera.size_px"
        )


def readable(count: int) -> str:
    """Return bytes for people: megabytes, or gigabytes from ten of them on."""
    return f"{count / 1e6:.0f} MB" if count < _MANY_BYTES else f"{count / 1e9:.1f} GB"
