"""Options that the commands which talk to the service have in common."""

import getpass
import json
import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from zstackd.client import DEFAULT_SOCKET, Client
from zstackd_config.errors import ZstackdError

_MOST_IDS: Final = 50

SocketOption = Annotated[
    Path | None,
    typer.Option(
        "--socket",
        metavar="PATH",
        envvar="ZSTACKD_SOCKET",
        help=f"Control socket of the service [default: {DEFAULT_SOCKET}].",
    ),
]
RigOption = Annotated[
    Path | None,
    typer.Option("--rig", metavar="RIG.yaml", help="Find the socket by the service's rig file."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def service(socket: Path | None, rig: Path | None) -> Client:
    """Return a client of the service that the options name."""
    if socket is None and rig is not None:
        from zstackd.api.sockets import socket_path  # noqa: PLC0415 - only where a rig is named
        from zstackd_config.load import load_rig  # noqa: PLC0415

        settings = load_rig(rig)
        socket = socket_path(settings.api, settings.paths.state, {})
        if not os.access(socket, os.F_OK) and os.access(DEFAULT_SOCKET, os.F_OK):
            socket = DEFAULT_SOCKET  # systemd gave the service its runtime directory
    return Client(socket or DEFAULT_SOCKET)


def user() -> str:
    """Return who asks, for the journal."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


def print_json(answer: Any) -> None:
    """Print an answer of the service as it came."""
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def _some_ids(incomplete: str) -> list[tuple[str, str]]:
    """Return ids for the shell to complete; none where the service cannot be asked."""
    socket = Path(os.environ.get("ZSTACKD_SOCKET") or DEFAULT_SOCKET)
    try:
        with Client(socket) as client:
            runs = client.get("/v1/runs", {"limit": _MOST_IDS})["runs"]
    except ZstackdError:
        return []
    return [(run["run_id"], run["state"]) for run in runs if run["run_id"].startswith(incomplete)]


RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of the run.", autocompletion=_some_ids)
]
RunsArgument = Annotated[
    list[str], typer.Argument(metavar="RUN…", help="Ids of runs.", autocompletion=_some_ids)
]
"""One run or more."""

MaybeRunArgument = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="Id of a run.", autocompletion=_some_ids)
]
"""A run, or nothing for the service as a whole."""
