"""`zstackd list`: the service's runs, the newest first."""

from typing import Annotated

import typer

from zstackd.api.client import Words
from zstackd.commands.options import JsonOption, RigOption, SocketOption, print_json, service
from zstackd.commands.wording import runs_table, series_table, show_markup, terminal_width
from zstackd.store.run_state import RunState

States = Annotated[
    list[RunState] | None,
    typer.Option(
        "--state",
        metavar="STATE",
        help=f"Only runs in this state; repeatable: {', '.join(RunState)}.",
    ),
]


def list(  # noqa: A001 - the command's name
    *,
    state: States = None,
    series: Annotated[
        bool, typer.Option("--series", help="Only the series that have runs to come.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=1000, help="At most so many.")
    ] = 20,
    socket: SocketOption = None,
    rig: RigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the service's runs, the newest first, and the series that have runs to come."""
    words: Words = {"limit": limit, "state": [wanted.value for wanted in state or ()]}
    with service(socket, rig) as client:
        runs = [] if series else client.get("/v1/runs", words)["runs"]
        to_come = [] if state else client.get("/v1/series")["series"]
    if as_json:
        print_json(to_come if series else runs)
        return
    tables = [runs_table(runs, terminal_width())] if runs else []
    if to_come:
        tables.append(series_table(to_come))
    if tables:
        show_markup("\n\n".join(tables))
    else:
        typer.echo("no series" if series else "no runs")
