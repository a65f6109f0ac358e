"""`zstackd logs`: what happened to a run, or what the service said lately."""

from datetime import datetime
from typing import Any, Final

import typer

from zstackd.commands.facts import facts_of, facts_text
from zstackd.commands.options import (
    JsonOption,
    MaybeRunArgument,
    RigOption,
    SocketOption,
    print_json,
    service,
)

_MOST: Final = 2000
"""Characters of one entry: what a hook printed at its end, or a reason, is told whole."""


def logs(
    run: MaybeRunArgument = None,
    socket: SocketOption = None,
    rig: RigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all that happened to a run, or without RUN the service's newest messages.

    Older messages: journalctl -u zstackd
    """
    with service(socket, rig) as client:
        if run is None:
            entries = client.get("/v1/messages")["messages"]
            lines = [_message(entry) for entry in entries]
        else:
            entries = client.get(f"/v1/runs/{run}/journal")["entries"]
            lines = [entry_text(entry) for entry in entries]
    if as_json:
        print_json(entries)
    else:
        typer.echo("\n".join(lines))


def _message(message: dict[str, Any]) -> str:
    level = "" if message["level"] == "info" else f"{message['level']}: "
    return f"{_clock(message['at'])}  {level}{message['text']}"


def entry_text(entry: dict[str, Any]) -> str:
    """Return an entry of a run's journal in one line."""
    event = entry["event"].replace("_", " ")
    return f"{_clock(entry['at'])}  {event:<15}  {facts_text(facts_of(entry), _MOST)}".rstrip()


def _clock(at: str) -> str:
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
