"""`zstackd status`: the service and its rig on one screen."""

from typing import Any, Final

from rich.markup import escape

from zstackd.api.client import RunJson
from zstackd.commands.options import JsonOption, RigOption, SocketOption, print_json, service
from zstackd.commands.wording import (
    coloured,
    gigabytes,
    local_time,
    named_values,
    planes,
    runs_table,
    series_table,
    show_markup,
    since,
    terminal_width,
)
from zstackd.store.run_state import ENDED, MOST_ENDED
from zstackd_config.values import height

_RECENT: Final = 8
_SERIES: Final = 3


def status(socket: SocketOption = None, rig: RigOption = None, as_json: JsonOption = False) -> None:
    """Show what the service and its rig are doing, on one screen."""
    with service(socket, rig) as client:
        answer = client.get("/v1/status")
        recent: list[RunJson] = client.get("/v1/runs", {"limit": _RECENT})["runs"]
        series = client.get("/v1/series")["series"][:_SERIES]
    if as_json:
        print_json(answer)
        return
    parts = [_headline(answer), _screen(answer)]
    if recent:
        shown = recent[: _RECENT - 2 - len(series)] if series else recent
        parts.append(runs_table(shown, terminal_width()))
    if series:
        parts.append(series_table(series))
    show_markup("\n\n".join(parts))


def _headline(status: dict[str, Any]) -> str:
    why = f": {escape(status['why'])}" if status["why"] else ""
    return (
        f"[bold]{escape(status['rig'])}[/bold] is {coloured(status['state'])}{why}\n"
        f"zstackd {status['version']}, up {since(status['started_at'])}"
    )


def _screen(status: dict[str, Any]) -> str:
    loan = status["loan"]
    rows = (
        *(() if loan is None else [("lent", _lent(loan))]),
        ("in work", _work(status["current"])),
        ("queue", f"{status['queue']} waiting"),
        ("runs", _counts(status["counts"])),
        ("focus", axis_text(status["axis"])),
        ("camera", _camera(status["camera"])),
        ("spool", _space(status["spool"])),
        ("output", _space(status["output"])),
        ("faults", f"{status['faults']} since the start"),
        ("computer", _temperature(status["temperature_c"])),
    )
    return named_values(rows)


def _lent(loan: dict[str, Any]) -> str:
    return f"to {escape(loan['to'])}, since {local_time(loan['since'])}"


def _work(run: RunJson | None) -> str:
    if run is None:
        return "nothing"
    return f"{escape(run['run_id'])}  {coloured(run['state'])}  planes {planes(run)}"


def _counts(counts: dict[str, int]) -> str:
    ended = ("published", "failed", "interrupted", "cancelled")
    text = ", ".join(f"{counts.get(state, 0)} {coloured(state)}" for state in ended)
    all_ended = sum(counts.get(state, 0) for state in ENDED)
    return f"{text}, of the newest {MOST_ENDED}" if all_ended >= MOST_ENDED else text


def axis_text(axis: dict[str, Any] | None) -> str:
    """Return where the axis stands, as rich's markup; no height where nobody knows it."""
    if axis is None:
        return "[red]not there[/red]"
    known = axis["reference"] == "referenced" and axis["position_um"] is not None
    where = height(axis["position_um"]) if known else "[yellow]position not known[/yellow]"
    moving = "  moving" if axis["moving"] else ""
    fault = f"  [red]{escape(axis['fault'])}[/red]" if axis["fault"] else ""
    return f"{where}{moving}{fault}"


def _camera(camera: dict[str, Any] | None) -> str:
    if camera is None:
        return "[red]not there[/red]"
    width, height = camera["size_px"]
    return f"{escape(camera['model'])}, {width} × {height}, {camera['bits']} bit"


def _space(space: dict[str, Any]) -> str:
    free = gigabytes(space["free_bytes"])
    missing = "  [red]not there[/red]" if space["free_bytes"] is None else ""
    return f"{free} free of {gigabytes(space['total_bytes'])}  {escape(space['folder'])}{missing}"


def _temperature(degrees: float | None) -> str:
    return "" if degrees is None else f"{degrees:.0f} °C"
