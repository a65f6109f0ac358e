"""`zstackd watch`: what happens, as it happens."""

import json
import sys
from datetime import datetime
from typing import Final, TextIO

import typer

from zstackd.api.client import Client, EventJson
from zstackd.commands.facts import facts_of, facts_text
from zstackd.commands.options import JsonOption, MaybeRunArgument, RigOption, SocketOption, service
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
    event on each line; of a run that has ended already, its end.
    """
    show = _print_json if as_json else _Screen(sys.stdout).show
    with service(socket, rig) as client, client.listening(run_id=run) as events:
        if run is not None and (end := _end_of(client, run)) is not None:
            show(end)
            return _ENDS[end["kind"]]
        for event in events:
            show(event)
            if run is not None and event["kind"] in _ENDS:
                return _ENDS[event["kind"]]
    if run is None:
        return 0
    raise ZstackdError(f"the service stopped before {run} ended; it goes on when it starts again")


def _end_of(client: Client, run: str) -> EventJson | None:
    """Return the end of a run as an event, without a number; None where it has not ended.

    Asked once listening has begun, so that no end is missed.
    """
    if client.get(f"/v1/runs/{run}")["state"] not in _ENDS:
        return None
    entries = client.get(f"/v1/runs/{run}/journal")["entries"]
    end = next(entry for entry in reversed(entries) if entry["event"] in _ENDS)
    facts = facts_of(end)
    return {"number": None, "at": end["at"], "kind": end["event"], "run_id": run, "facts": facts}


def _print_json(event: EventJson) -> None:
    typer.echo(json.dumps(event, ensure_ascii=False))


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
    kind = event["kind"].replace("_", " ")
    if event["run_id"] is None:
        kind = ""
    return "  ".join(word for word in (_clock(event), of, kind, facts_text(event["facts"])) if word)


def _clock(event: EventJson) -> str:
    return datetime.fromisoformat(event["at"]).astimezone().strftime("%H:%M:%S")
