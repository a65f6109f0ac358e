"""Runs a whole process and tells what it cost, children included."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_POLL_S = 0.02
_LAUNCHER = Path(__file__).with_name("launch.py")


class ToolError(Exception):
    """A tool ended with an error; the message holds its last words."""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU and wall seconds, and the peak of resident memory (MB) of all its processes together."""

    cpu_s: float
    wall_s: float
    peak_mb: float

    def __add__(self, other: "Cost") -> "Cost":
        """One after the other."""
        return Cost(
            self.cpu_s + other.cpu_s, self.wall_s + other.wall_s, max(self.peak_mb, other.peak_mb)
        )


def run(command: Sequence[str | Path], log: Path) -> Cost:
    """Run to the end; ToolError where it fails.

    What it prints goes to the file `log`, its errors to one beside it with the suffix .err.
    """
    words = [str(word) for word in command]
    errors, report = log.with_suffix(".err"), log.with_suffix(".cost")
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(report), *words]
    report.unlink(missing_ok=True)
    with log.open("wb") as out, errors.open("wb") as err:
        child = subprocess.Popen(launcher, stdout=out, stderr=err)
        watch = _Watch(child.pid)
        child.wait()
        sampled = watch.stop()
    cost: dict[str, Any] = {"status": "not started"}
    if report.exists():
        cost = json.loads(report.read_text("utf-8"))
    if cost["status"] != 0:
        said = log.read_text("utf-8", "replace") + errors.read_text("utf-8", "replace")
        last = said.strip().splitlines()[-1:]
        raise ToolError(f"{' '.join(words[:3])} …: status {cost['status']}: {''.join(last)}")
    return Cost(cost["cpu_s"], cost["wall_s"], max(cost["peak_mb"], sampled))


class _Watch:
    """Samples the memory of the descendants of a process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak_mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        self._done.set()
        self._thread.join()
        return self._peak_mb

    def _loop(self) -> None:
        while not self._done.wait(_POLL_S):
            self._peak_mb = max(self._peak_mb, sum(map(_resident_mb, _family(self._pid)[1:])))


def _family(pid: int) -> list[int]:
    """A process and its descendants; empty once it is gone, or where there is no /proc."""
    members, todo = [], [pid]
    while todo:
        one = todo.pop()
        members.append(one)
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                todo += [int(word) for word in (task / "children").read_text("ascii").split()]
        except OSError:
            continue
    return members


def _resident_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
