"""Which mount the output folder belongs to, so that its absence is noticed, also after a reboot.

Where a disk or a server is not mounted, its mount point is an empty folder of the system's own
disk: results put there would fill that disk, and be hidden as soon as the mount comes back.
"""

import logging
import os
from pathlib import Path
from typing import Final

from zstackd.store.durable import write_text
from zstackd_config.errors import StorageError

NAME: Final = "output-mount"
_log = logging.getLogger(__name__)


def expected_mount(state: Path, output: Path) -> Path:
    """Return the mount point that the output folder was below when it was last there.

    It is remembered in a file of the state folder, which an operator may delete.
    """
    folder, marker = output.resolve(), state / NAME
    now, known = mount_of(folder), _read(marker)
    below = (folder, *folder.parents)
    if known is not None and known in below and now in known.parents:
        return known
    if now != known:
        try:
            write_text(marker, f"{now}\n")
        except StorageError as error:
            _log.warning("%s", error)
    return now


def mount_of(folder: Path) -> Path:
    """Return the mount point that a folder is below, or would be where it does not exist yet."""
    return next(each for each in (folder, *folder.parents) if os.path.ismount(each))


def _read(marker: Path) -> Path | None:
    try:
        return Path(marker.read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        return None
