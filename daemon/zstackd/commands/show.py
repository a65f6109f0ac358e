"""`zstackd show`: one run, and what happened to it."""

from rich.markup import escape

from zstackd.client import RunJson
from zstackd.commands.options import (
    JsonOption,
    RigOption,
    RunArgument,
    SocketOption,
    print_json,
    service,
)
from zstackd.commands.wording import coloured, local_time, named, planes, show_markup


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
    show_markup(_lines(RunJson(**answer)))  # type: ignore[typeddict-item]  # has more


def _lines(run: RunJson) -> str:
    state = coloured(run["state"]) + (" [yellow](partial)[/yellow]" if run["is_partial"] else "")
    rows = (
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
    )
    return named(rows)
