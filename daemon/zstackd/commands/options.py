"""Options that the commands which talk to the service have in common."""

import getpass
import json
import math
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from zstackd.api.client import Client, Unreachable, client_of
from zstackd.api.sockets import DEFAULT_SOCKET
from zstackd_config.errors import InputError, ZstackdError

if TYPE_CHECKING:  # pydantic costs start-up
    from zstackd_config.rig import Rig

T = TypeVar("T")
_MOST_IDS: Final = 50
_VARIABLE: Final = "ZSTACKD_SOCKET"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")

SocketOption = Annotated[
    Path | None,
    typer.Option(
        "--socket",
        metavar="PATH",
        help=f"Control socket of the service [default: ${_VARIABLE}, or {DEFAULT_SOCKET}].",
    ),
]
RigOption = Annotated[
    Path | None,
    typer.Option("--rig", metavar="RIG.yaml", help="Find the socket by the service's rig file."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def finite(number: float | None) -> float | None:
    """Return a number from the command line; refuses nan and inf, which no bound holds back."""
    if number is not None and not math.isfinite(number):
        raise typer.BadParameter(f"{number} is no number to measure by; give a finite one")
    return number


def service(socket: Path | None, rig: Path | None) -> Client:
    """Return a client of the service that the options name, or else the environment.

    What is named for one command counts before what stands in the environment: with several rigs
    on one machine, the other way round would move the wrong one.
    """
    if rig is None:
        return Client(socket or _usual_socket())
    if socket is not None:
        raise InputError(f"--socket {socket} and --rig {rig} both name a service; give one of them")
    from zstackd_config.load import load_rig  # noqa: PLC0415 - start-up

    return client_of(load_rig(rig))


def asked(
    socket: Path | None,
    rig: Path | None,
    ask: Callable[[Client], T],
    own: Callable[["Rig"], T],
) -> T:
    """Ask the service; where none answers and a rig is named, do it without one."""
    try:
        with service(socket, rig) as client:
            return ask(client)
    except Unreachable as error:
        if socket is not None:
            raise
        if rig is None:
            raise Unreachable(f"{error}; --rig RIG.yaml does without a service") from error
    from zstackd_config.load import load_rig  # noqa: PLC0415 - start-up

    return own(load_rig(rig))


def _usual_socket() -> Path:
    return Path(os.environ.get(_VARIABLE) or DEFAULT_SOCKET)


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
    try:
        with Client(_usual_socket()) as client:
            runs = client.get("/v1/runs", {"limit": _MOST_IDS})["runs"]
    except ZstackdError:
        return []
    return [(run["run_id"], run["state"]) for run in runs if run["run_id"].startswith(incomplete)]


def _checked(named: str | list[str] | None) -> str | list[str] | None:
    """Return one id, or several, or none, after a look whether they can be ids."""
    for word in [named] if isinstance(named, str) else named or ():
        if not _ID.fullmatch(word):
            raise InputError(f"{word!r} is no id of a run; `zstackd list` names them")
    return named


RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="Id of the run.", autocompletion=_some_ids, callback=_checked
    ),
]
RunsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN", help="Ids of runs or series.", autocompletion=_some_ids, callback=_checked
    ),
]
"""One run or more."""

MaybeRunArgument = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="Id of a run.", autocompletion=_some_ids, callback=_checked),
]
"""A run, or nothing for the service as a whole."""


def each(
    things: Iterable[T], ask: Callable[[T], dict[str, Any]], *, as_json: bool, named: str
) -> None:
    """Ask for each of several things; what is refused does not keep the others from being done.

    Prints all answers as JSON where asked to, each with the thing under the key `named`, and with
    `error`; raises the refusals at the end, a line for each.
    """
    answers, refused = list[dict[str, Any]](), list[ZstackdError]()
    for thing in things:
        try:
            answers.append({named: str(thing), "error": None, **ask(thing)})
        except ZstackdError as error:
            answers.append({named: str(thing), "error": str(error)})
            refused.append(error)
            if isinstance(error, Unreachable):
                break
    if as_json:
        print_json(answers)
    if refused:
        raise type(refused[0])("\n".join(map(str, refused)))
