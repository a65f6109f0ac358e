"""`zstackd show`: one run, and what happened to it."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from zstackd.client import RunJson
from zstackd.commands.options import (
    JsonOption,
    RigOption,
    RunArgument,
    SocketOption,
    print_json,
    service,
)
from zstackd.commands.wording import coloured, local_time, planes


def show(
    run: RunArgument,
    socket: SocketOption = None,
    rig: RigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one run; `zstackd logs RUN` shows all that happened to it."""
    with service(socket, rig) as client:
        answer = client.get(f"/v1/runs/{run}")
    if as_json:
        print_json(answer)
        return
    Console(soft_wrap=True).print(_table(RunJson(**answer)))  # type: ignore[typeddict-item]  # has more


def _table(run: RunJson) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    state = coloured(run["state"]) + (" [yellow](partial)[/yellow]" if run["is_partial"] else "")
    for name, value in (
        ("run", escape(run["run_id"])),
        ("name", escape(run["name"])),
        ("state", state),
        ("why", escape(run["reason"] or "")),
        ("planes", planes(run)),
        ("accepted", local_time(run["accepted_at"])),
        ("started", local_time(run["started_at"])),
        ("ended", local_time(run["ended_at"])),
        ("attempts", str(run["attempts"])),
        ("not before", local_time(run["not_before"]) if run["not_before"] else ""),
        ("series", escape(run["series"] or "")),
        ("result", escape(run["result"] or "")),
        ("consumed", "yes" if run["consumed"] else ""),
        ("frames", "kept" if run["frames_kept"] else "dropped"),
    ):
        if value:
            table.add_row(f"[bold]{name}[/bold]", value)
    return table
