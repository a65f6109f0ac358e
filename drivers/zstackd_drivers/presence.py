"""Whether something was plugged in or pulled out, by a look that costs next to nothing."""

from pathlib import Path

from zstackd_config.camera import UvcCamera
from zstackd_config.rig import Rig

DEVICES = Path("/dev")
_Node = tuple[int, ...] | None


def presence(rig: Rig, devices: Path = DEVICES) -> tuple[_Node, ...]:
    """Return what differs once a device of `rig` came, went, or has another owner or mode.

    A device that the rig does not name shows by the folder of all devices, which changes with it.
    """
    return (*(_node(path) for path in _named(rig)), _changed(devices))


def _named(rig: Rig) -> list[Path]:
    port = Path(rig.focus.port)
    paths = [port] if port.is_absolute() else []
    if isinstance(rig.camera, UvcCamera):
        paths.append(rig.camera.device)
    return paths


def _node(path: Path) -> _Node:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_rdev, found.st_mode, found.st_uid, found.st_gid


def _changed(folder: Path) -> _Node:
    try:
        return (folder.stat().st_mtime_ns,)
    except OSError:
        return None
