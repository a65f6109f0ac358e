"""Who has the state folder, and what to do where somebody else wants it."""

import os
import pwd
from pathlib import Path
from typing import Final

from zstackd_config.errors import InputError

_UNIT: Final = "zstackd.service"


def way_out(holder: str, processes: Path = Path("/proc")) -> str:
    """Return what to do about the process that has the state folder, in one line.

    `holder` is its id, as far as is known; `processes` is where the system tells of it.
    """
    try:
        is_unit = _UNIT in (processes / holder / "cgroup").read_text()
    except OSError:
        is_unit = False
    if is_unit:
        return (
            "it is the service: stop it (sudo systemctl stop zstackd), and start it again "
            "afterwards (sudo systemctl start zstackd)"
        )
    return "wait until it has ended, or stop it"


def refuse_root(state: Path) -> None:
    """Raise InputError where root would leave files in another user's state folder.

    That user is the service, which could not write to them: it would not even start.
    """
    user = _owner(state)
    if os.geteuid() == 0 and user != "root":
        raise InputError(
            f"{state}: belongs to {user}, who could not write to what root leaves there: run this "
            f"as that user, `sudo -u {user} zstackd …`"
        )


def denied(state: Path) -> str:
    """Return what to say to a user who may not write to the state folder."""
    user, owner = _user(os.geteuid()), _owner(state / "lock")
    if owner == "root":
        way = f"give the folder to {user}, `sudo chown -R {user}: {state}`"
    else:
        way = f"run this as that user, `sudo -u {owner} zstackd …`"
    return f"{state}: belongs to {owner}, and {user} may not write to it: {way}"


def _owner(path: Path) -> str:
    """Return who owns a path, or what is there of it."""
    there = next(each for each in (path, *path.parents) if each.exists())
    return _user(there.stat().st_uid)


def _user(uid: int) -> str:
    """Return a user's name; one without a name is called as sudo takes it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"
