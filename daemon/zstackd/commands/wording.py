"""What the service answers, in words for people."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from zstackd.api.client import RunJson

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_GIGA: Final = 1e9
_GAP: Final = "  "
_INDENT: Final = "    "
_LEAST_WHY: Final = 40
COLOURS: Final = {
    "published": "green",
    "failed": "red",
    "interrupted": "yellow",
    "cancelled": "yellow",
    "starting": "yellow",
    "degraded": "red",
    "paused": "yellow",
    "lent": "yellow",
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
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S} h"


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


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of rich's markup as lines with aligned columns; nothing is ever cut off."""
    lengths = [[_length(cell) for cell in row] for row in rows]
    widths = [max(column) for column in zip(*lengths, strict=True)]
    lines = []
    for row, lengths_of_row in zip(rows, lengths, strict=True):
        padded = (
            cell + " " * (width - length)
            for cell, length, width in zip(row, lengths_of_row, widths, strict=True)
        )
        lines.append(_GAP.join(padded).rstrip())
    return "\n".join(lines)


def named_values(rows: Sequence[tuple[str, str]]) -> str:
    """Return names and values as lines; those without a value are left out."""
    return columns([(f"[bold]{name}[/bold]", value) for name, value in rows if value])


def terminal_width() -> int | None:
    """Return how many characters a line of the terminal has; None where the output is none."""
    console = Console()
    return console.width if console.is_terminal else None


def runs_table(runs: Sequence[RunJson], width: int | None = None) -> str:
    """Return runs as lines under a title; `why` is cut off at `width`, below where it is narrow."""
    *titles, title = (
        f"[bold]{each}[/bold]" for each in ("run", "state", "planes", "accepted", "why")
    )
    rows = [
        [
            escape(run["run_id"]),
            coloured(run["state"]),
            planes(run),
            local_time(run["accepted_at"]),
        ]
        for run in runs
    ]
    whys = [title, *(escape(" ".join((run["reason"] or "").split())) for run in runs)]
    if width is None:
        table = zip([titles, *rows], whys, strict=True)
        return columns([[*row, why] for row, why in table])
    lines = columns([titles, *rows]).splitlines()
    at = max(_length(line) for line in lines) + len(_GAP)
    if width - at >= _LEAST_WHY:
        pairs = zip(lines, whys, strict=True)
        told = [f"{line}{' ' * (at - _length(line))}{_cut(why, width - at)}" for line, why in pairs]
        return "\n".join(line.rstrip() for line in told)
    for number, why in enumerate(whys[1:], start=1):
        lines[number] += f"\n{_INDENT}{_cut(why, width - len(_INDENT))}" if why else ""
    return "\n".join(lines)


def _length(markup: str) -> int:
    return Text.from_markup(markup).cell_len


def _cut(markup: str, most: int) -> str:
    text = Text.from_markup(markup)
    text.truncate(most, overflow="ellipsis")
    return text.markup


def series_table(series: Sequence[dict[str, Any]]) -> str:
    """Return series as lines under a title."""
    titles = [
        f"[bold]{title}[/bold]" for title in ("series", "begun", "skipped", "next", "last run")
    ]
    rows = [
        [
            escape(one["series_id"]),
            f"{one['upcoming']}/{one['count']}",
            str(one["skipped"]),
            local_time(one["due_at"]),
            escape(one["current"] or "–"),
        ]
        for one in series
    ]
    return columns([titles, *rows])


def show_markup(text: str) -> None:
    """Print rich's markup, in colour on a terminal; long lines are left to it."""
    Console(soft_wrap=True, highlight=False).print(text)
