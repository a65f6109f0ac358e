"""Programs started after a run has ended: bounded in time, what they print in the journal."""

import logging
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from zstackd.runs.halt import Halt
from zstackd.runs.pulse import Pulse
from zstackd.service.house import House
from zstackd.store.run_state import RunState, RunSummary
from zstackd.store.spool import RunFolder
from zstackd_config.errors import StorageError
from zstackd_config.service import Hook

LOOK_S: Final = 5.0
OUTPUT_BYTES: Final = 1500
_STEP_S: Final = 0.1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HookEnd:
    """How a hook ended: exit status (None: it could not be started, or was ended), last output."""

    status: int | None
    seconds: float
    output: str
    note: str | None = None


def run_hook(hook: Hook, environment: Mapping[str, str], stop: Halt) -> HookEnd:
    """Start a hook and wait for its end, its time limit, or the stop of the service.

    The program runs in a session of its own, so that it can be ended with all it started.
    """
    began_s = time.monotonic()
    try:
        process = subprocess.Popen(
            hook.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return HookEnd(None, 0.0, "", f"{hook.command[0]}: cannot be started: {error}")
    with process:
        output, note = _attended(process, began_s + hook.timeout_s, stop)
        _end(process)
    text = output.decode(errors="replace").strip()
    status = process.returncode if note is None else None
    return HookEnd(status, round(time.monotonic() - began_s, 3), text, note)


def _attended(
    process: subprocess.Popen[bytes], end_s: float, stop: Halt
) -> tuple[bytes, str | None]:
    """Return the last output of a process, and why it has to be ended, if it has to be."""
    stream = process.stdout
    output = b""
    with selectors.DefaultSelector() as selector:
        if stream is not None:
            selector.register(stream, selectors.EVENT_READ)
        while process.poll() is None:
            if stop.event.is_set():
                return output, "ended: the service stops"
            if time.monotonic() >= end_s:
                return output, "ended: it took longer than its timeout_s"
            if stream is not None and selector.select(_STEP_S):
                output = (output + _read(stream))[-OUTPUT_BYTES:]
        if stream is not None and selector.select(0):
            output = (output + _read(stream))[-OUTPUT_BYTES:]
    return output, None


def _read(stream: IO[bytes]) -> bytes:
    data = os.read(stream.fileno(), 1 << 16)
    if not data:
        time.sleep(_STEP_S)  # it closed its output and goes on
    return data


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()
    process.wait()


class Hooks:
    """Runs the hook of every run that has ended and still waits for it, one after the other."""

    def __init__(self, house: House, pulse: Pulse) -> None:
        self._house = house
        self._pulse = pulse
        self._unwritten: dict[str, HookEnd] = {}

    def run(self) -> None:
        """Do so until the service stops; what is not done then is done after the next start."""
        stop = self._house.stop
        with self._house.events.subscribe(size=1) as woken:
            while not stop.event.is_set():
                self._pulse.beat()
                self.turn()
                if not stop.event.is_set():
                    woken.get(LOOK_S)

    def turn(self) -> None:
        """Run the hook of every run that waits for it."""
        for run in self._due():
            self._do(run)

    def _due(self) -> list[RunSummary]:
        return [run for run in reversed(self._house.catalogue.listed()) if run.hook_due]

    def _do(self, run: RunSummary) -> None:
        service = self._house.rig.service
        published = run.state is RunState.PUBLISHED
        name = "on_published" if published else "on_failed"
        hook = service.on_published if published else service.on_failed
        if self._house.stop.event.is_set():
            return
        if run.run_id in self._unwritten:
            end = self._unwritten[run.run_id]
        elif hook is None:
            end = HookEnd(None, 0.0, "", "not configured any more")
            _log.info("%s: %s: %s", run.run_id, name, end.note)
        else:
            self._pulse.beat(expected_s=hook.timeout_s)
            end = run_hook(hook, _environment(run, self._house.rig.name), self._house.stop)
            if self._house.stop.event.is_set():
                return
            log_end(run.run_id, name, end)
        self._write(run, name, end)

    def _write(self, run: RunSummary, name: str, end: HookEnd) -> None:
        """Note the end in the run's journal; where that fails, later: it is not run again."""
        try:
            with self._house.spool.journal(
                RunFolder(self._house.spool.runs / run.run_id)
            ) as journal:
                journal.append(
                    "hook",
                    hook=name,
                    status=end.status,
                    seconds=end.seconds,
                    output=end.output,
                    note=end.note,
                )
        except StorageError as error:
            if run.run_id not in self._unwritten:
                _log.warning("%s: %s", run.run_id, error)
            self._unwritten[run.run_id] = end
        else:
            self._unwritten.pop(run.run_id, None)


def log_end(run_id: str, name: str, end: HookEnd) -> None:
    """Log how a hook ended; a failure is a warning."""
    said = end.note or f"status {end.status}"
    if end.status == 0:
        _log.info("%s: %s: %s", run_id, name, said)
        return
    where = f"; `zstackd logs {run_id}` has what it printed" if end.output else ""
    _log.warning("%s: %s failed: %s%s", run_id, name, said, where)


def _environment(run: RunSummary, rig: str) -> dict[str, str]:
    """Return what a hook is told, as variables."""
    result = run.result or Path()
    return {
        "ZSTACKD_RUN_ID": run.run_id,
        "ZSTACKD_RIG": rig.replace("\0", ""),
        "ZSTACKD_NAME": run.name.replace("\0", ""),
        "ZSTACKD_STATE": str(run.state),
        "ZSTACKD_REASON": run.reason or "",
        "ZSTACKD_RESULT": str(run.result or ""),
        "ZSTACKD_MANIFEST": str(result / "manifest.json") if run.result else "",
    }
