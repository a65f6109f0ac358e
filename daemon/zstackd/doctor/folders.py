"""The folders: room, permission, speed."""

import os
import pwd
import stat
import time
from pathlib import Path
from typing import Final

from zstackd.doctor.commands import answer
from zstackd.doctor.diagnosis import Diagnosis, failure, fine, warning
from zstackd.store.durable import probe_writable
from zstackd.store.room import free_bytes, readable
from zstackd_config.errors import ZstackdError
from zstackd_config.rig import Paths

LEAST_FREE_BYTES: Final = 2 * 2**30
LEAST_BYTES_PER_S: Final = 5 * 2**20
_PROBE_BYTES: Final = 16 * 2**20


def folders(paths: Paths) -> list[Diagnosis]:
    """Return what there is to say of the state and the output folder."""
    return [
        line
        for name, folder in (("state folder", paths.state), ("output folder", paths.output))
        for line in _folder(name, folder)
    ]


def _folder(name: str, folder: Path) -> list[Diagnosis]:
    if not os.path.isdir(folder):  # noqa: PTH112 - false, too, where nobody may look
        return [_missing(name, folder)]
    try:
        probe_writable(folder)
        return [_room(name, folder), _speed(name, folder)]
    except ZstackdError as error:
        owner = _service_that_owns(folder)
        if owner is None:
            return [failure(name, str(error))]
        return [
            warning(
                name,
                f"{folder} belongs to {owner}, the user of the service: you may not write to it, "
                "and need not",
                f"to have it tried, run `sudo -u {owner} zstackd doctor`",
            ),
            _room(name, folder),
        ]
    except OSError as error:
        return [failure(name, f"{folder}: {error.strerror}", "look at the disk with `dmesg`")]


def _service_that_owns(folder: Path) -> str | None:
    """Return the user of the service where that one, another than ours, owns a folder."""
    user = answer(["systemctl", "show", "zstackd.service", "--property=User", "--value"])
    try:
        uid = pwd.getpwnam(user or "").pw_uid
    except KeyError:
        return None
    status = folder.stat()
    theirs = status.st_uid == uid != os.geteuid() and status.st_mode & stat.S_IWUSR
    return user if theirs else None


def _missing(name: str, folder: Path) -> Diagnosis:
    """Return whether a folder that is not there can be made where it belongs."""
    there = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    if not os.path.isdir(there):  # noqa: PTH112
        return failure(
            name,
            f"{folder} cannot be made: {there} is no folder",
            f"move {there} away, or name another folder in the rig file",
        )
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        return failure(
            name,
            f"{folder} is not there, and cannot be made: {there} is not writable",
            "make it, and give it to the user of the service",
        )
    return warning(
        name,
        f"{folder} is not there yet; it is made at the first run",
        "make it, and give it to the user of the service",
    )


def _room(name: str, folder: Path) -> Diagnosis:
    free = free_bytes(folder)
    said = f"{folder}: {readable(free)} free"
    if free < LEAST_FREE_BYTES:
        return warning(
            name, f"{said}, less than {readable(LEAST_FREE_BYTES)}", "remove old runs and results"
        )
    return fine(name, said)


def _speed(name: str, folder: Path) -> Diagnosis:
    """Write and flush 16 MiB, and say how fast that went."""
    probe = folder / f".speed-{os.getpid()}"
    content = os.urandom(_PROBE_BYTES)
    begun_s = time.monotonic()
    try:
        with probe.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        rate = _PROBE_BYTES / max(time.monotonic() - begun_s, 1e-6)
    finally:
        probe.unlink(missing_ok=True)
    said = f"{folder}: writes {readable(round(rate))} per second"
    if rate < LEAST_BYTES_PER_S:
        return warning(
            name,
            f"{said}, less than {readable(LEAST_BYTES_PER_S)}",
            "use a faster or healthier card, or a USB disk",
        )
    return fine(name, said)
