"""What the service answers, in words for people."""

from datetime import UTC, datetime
from typing import Any, Final

from rich.markup import escape
from rich.table import Table

from zstackd.client import RunJson

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_GIGA: Final = 1e9
COLOURS: Final = {
    "published": "green",
    "failed": "red",
    "interrupted": "yellow",
    "cancelled": "yellow",
    "degraded": "red",
    "paused": "yellow",
    "waiting": "yellow",
    "capturing": "cyan",
    "stacking": "cyan",
    "publishing": "cyan",
    "running": "cyan",
    "idle": "green",
}


def coloured(state: str) -> str:
    """Return a state in its colour, as rich's markup."""
    colour = COLOURS.get(state)
    return escape(state) if colour is None else f"[{colour}]{escape(state)}[/{colour}]"


def local_time(at: str | None) -> str:
    """Return an ISO time in the reader's own time zone; a dash where there is none."""
    if not at:
        return "–"
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
    """Return a duration in its two largest units."""
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min {seconds % _MINUTE_S:.0f} s"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S:.0f} h {seconds % _HOUR_S // _MINUTE_S:.0f} min"
    return f"{seconds // _DAY_S:.0f} d {seconds % _DAY_S // _HOUR_S:.0f} h"


def since(at: str) -> str:
    """Return how long ago an ISO time was."""
    return span(max(0.0, (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()))


def gigabytes(count: int | None) -> str:
    """Return bytes in gigabytes (10^9)."""
    return "?" if count is None else f"{count / _GIGA:.1f} GB"


def planes(run: RunJson) -> str:
    """Return how far the capture is."""
    total = run["planes_total"]
    return "–" if total is None else f"{run['planes_done']}/{total}"


def runs_table(runs: list[RunJson]) -> Table:
    """Return runs as lines of a table."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("run", "state", "planes", "accepted", "why"):
        table.add_column(title, no_wrap=title != "why", overflow="fold")
    for run in runs:
        table.add_row(
            escape(run["run_id"]),
            coloured(run["state"]),
            planes(run),
            local_time(run["accepted_at"]),
            escape(run["reason"] or ""),
        )
    return table


def facts_text(facts: dict[str, Any], most: int = 100) -> str:
    """Return the facts of an entry in one line; long lists by their length."""
    words = (f"{name} {_fact(value)}" for name, value in facts.items() if value is not None)
    text = ", ".join(words)
    return text if len(text) <= most else text[: most - 1] + "…"


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return f"({len(value)} values)"
    if isinstance(value, list):
        return f"({len(value)})"
    return f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())
