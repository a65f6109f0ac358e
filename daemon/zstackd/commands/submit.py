"""`zstackd submit`: hand run files to the service."""

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from zstackd.commands.options import JsonOption, RigOption, SocketOption, each, service
from zstackd_config.errors import InputError

_MOST_BYTES: Final = 1 << 20
_MOST_CHARACTERS: Final = 100


def submit(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN.yaml", help="Run files; - is stdin.")],
    socket: SocketOption = None,
    rig: RigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hand run files to the service, in this order; each is safe there once it is printed.

    A file that is refused does not keep the others from being taken; the exit status is then 2.
    `--json` prints a list with `file` and `error` of each, and what the API answers.
    """
    with service(socket, rig) as client:

        def ask(path: Path) -> dict[str, Any]:
            source = {"source": _printable(path.name)}
            accepted = client.post("/v1/runs", source, content=_content(path))
            if not as_json:
                typer.echo(_said(path, accepted))
                for warning in accepted["warnings"]:
                    sys.stderr.write(f"{path}: warning: {warning}\n")
            return accepted

        each(runs, ask, as_json=as_json, named="file")


def _content(path: Path) -> bytes:
    """Return the bytes of a run file, or one more than the service takes."""
    if str(path) == "-":
        return sys.stdin.buffer.read(_MOST_BYTES + 1)
    try:
        with path.open("rb") as stream:
            return stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _printable(name: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    return shown[:_MOST_CHARACTERS] or "stdin"


def _said(path: Path, accepted: dict[str, Any]) -> str:
    if accepted["run"] is not None:
        return f"{path}: accepted as {accepted['run']['run_id']}"
    series = accepted["series"]
    return f"{path}: accepted as series {series['series_id']} of {series['count']} runs"
