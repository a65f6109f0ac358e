"""Runs a command and writes what it cost to a file: a small process between bench and the command.

Linux counts the memory of the process that starts a command towards the command's own peak, so
that must not be bench itself with its pictures. `python -I -S launch.py REPORT COMMAND…`
"""

import json
import os
import sys
import time
from pathlib import Path


def main(report: str, *command: str) -> None:
    """Run `command` to its end; `report` becomes a JSON file."""
    started = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    wall_s = time.perf_counter() - started
    unit = 1 if sys.platform == "darwin" else 1024
    described = {
        "status": os.waitstatus_to_exitcode(status),
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": wall_s,
        "peak_mb": usage.ru_maxrss * unit / 1e6,
    }
    Path(report).write_text(json.dumps(described), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
