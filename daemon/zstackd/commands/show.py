"""`zstackd show`: one run, and what happened to it."""

from typing import Any

from rich.markup import escape

from zstackd.api.client import Client, RunJson
from zstackd.commands.options import (
    JsonOption,
    RigOption,
    RunArgument,
    SocketOption,
    print_json,
    service,
)
from zstackd.commands.wording import coloured, local_time, named_values, planes, show_markup


def show(
    run: RunArgument,
    socket: SocketOption = None,
    rig: RigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one run, or a series that has runs to come.

    `zstackd logs RUN` shows all that happened to a run.
    """
    with service(socket, rig) as client:
        series = _series(client, run)
        answer = series or client.get(f"/v1/runs/{run}")
    if as_json:
        print_json(answer)
    elif series is not None:
        show_markup(_lines_of_series(series))
    else:
        show_markup(_lines(RunJson(**answer)))  # type: ignore[typeddict-item]  # has more


def _series(client: Client, named: str) -> dict[str, Any] | None:
    """Return a series that has runs to come; None where no such one bears this id."""
    found = client.get("/v1/series")["series"]
    return next((one for one in found if one["series_id"] == named), None)


def _lines_of_series(series: dict[str, Any]) -> str:
    rows = (
        ("series", escape(series["series_id"])),
        ("name", escape(series["name"])),
        ("runs", f"{series['upcoming']} of {series['count']} begun, {series['skipped']} skipped"),
        ("next", local_time(series["due_at"])),
        ("last run", escape(series["current"] or "")),
    )
    return named_values(rows)


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
    return named_values(rows)
