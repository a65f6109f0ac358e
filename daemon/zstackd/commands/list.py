"""`zstackd list`: the service's runs, the newest first."""

from typing import Annotated

import typer

from zstackd.client import Words
from zstackd.commands.options import JsonOption, RigOption, SocketOption, print_json, service
from zstackd.commands.wording import runs_table, show_markup
from zstackd.run_state import RunState

States = Annotated[
    list[RunState] | None, typer.Option("--state", help="Only runs in this state; repeatable.")
]


def list(  # noqa: A001 - the command's name
    state: States = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most.")] = 20,
    socket: SocketOption = None,
    rig: RigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the service's runs, the newest first."""
    with service(socket, rig) as client:
        words: Words = {"limit": limit, "state": [wanted.value for wanted in state or ()]}
        runs = client.get("/v1/runs", words)["runs"]
    if as_json:
        print_json(runs)
    elif runs:
        show_markup(runs_table(runs))
    else:
        typer.echo("no runs")
