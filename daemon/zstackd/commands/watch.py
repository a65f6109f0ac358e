"""`zstackd watch`: what happens, as it happens."""

import json
import sys
from datetime import datetime
from typing import Final, TextIO

import typer

from zstackd.api.client import Client, EventJson
from zstackd.commands.options import JsonOption, MaybeRunArgument, RigOption, SocketOption, service
from zstackd.commands.wording import facts_text
from zstackd_config.errors import Interrupted, ZstackdError

_TOO_MANY: Final = frozenset({"plane", "frame"})
"""One for each plane; progress tells the same in one line."""

_FAILED: Final = 1
_ENDS: Final = {
    "published": 0,
    "failed": _FAILED,
    "skipped": _FAILED,
    "interrupted": Interrupted.exit_status,
    "cancelled": Interrupted.exit_status,
}


def watch(
    run: MaybeRunArgument = None,
    socket: SocketOption = None,
    rig: RigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Print what happens, until Ctrl-C; with RUN until that run has ended.

    Exit status with RUN: 0 published, 1 failed, 130 interrupted or cancelled. `--json` prints one
    event on each line.
    """
    with service(socket, rig) as client:
        screen = _Screen(sys.stdout)
        if run is not None and (ended := _ended(client, run)) is not None:
            return ended
        for event in client.events(run_id=run):
            if as_json:
                typer.echo(json.dumps(event, ensure_ascii=False))
            else:
                screen.show(event)
            if run is not None and event["kind"] in _ENDS:
                return _ENDS[event["kind"]]
    if run is None:
        return 0
    raise ZstackdError(f"the service stopped before {run} ended; it goes on when it starts again")


def _ended(client: Client, run: str) -> int | None:
    """Return the exit status of a run that has ended already; None where it has not."""
    state = client.get(f"/v1/runs/{run}")["state"]
    if state in _ENDS:
        typer.echo(f"{run} is {state}")
    return _ENDS.get(state)


class _Screen:
    """One line for each event; progress stays on its line, and is left out of files and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._open = False

    def show(self, event: EventJson) -> None:
        if event["kind"] in _TOO_MANY:
            return
        if event["kind"] == "progress":
            self._progress(event)
            return
        if self._open:
            self._stream.write("\n")
        self._open = False
        self._stream.write(f"{_words(event)}\n")
        self._stream.flush()

    def _progress(self, event: EventJson) -> None:
        if self._is_terminal:
            facts = event["facts"]
            words = f"{facts.get('stage')}: {facts.get('done')} of {facts.get('total')}"
            self._stream.write(f"\r\x1b[K{_clock(event)}  {event['run_id']}  {words}")
            self._stream.flush()
            self._open = True


def _words(event: EventJson) -> str:
    of = event["run_id"] or "service"
    return f"{_clock(event)}  {of}  {event['kind']}  {facts_text(event['facts'])}".rstrip()


def _clock(event: EventJson) -> str:
    return datetime.fromisoformat(event["at"]).astimezone().strftime("%H:%M:%S")
