"""Who has the state folder, and what to do where somebody else wants it."""

from pathlib import Path
from typing import Final

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
