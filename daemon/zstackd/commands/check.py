"""`zstackd check`: validate files, and print what runs would do."""

import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from zstackd.commands.wording import span
from zstackd.runs.plan import Plan, plan_run
from zstackd.service.schedule import Schedule, is_series, schedule_of
from zstackd.store.room import readable
from zstackd_config.doubts import doubts
from zstackd_config.errors import ZstackdError
from zstackd_config.load import load_rig, parse_run, read_document
from zstackd_config.rig import Rig
from zstackd_config.sampling import largest_step_um
from zstackd_drivers.factory import known_step_um

_MOST_HEIGHTS: Final = 60
_DRIFT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Judged:
    """One file: `error` says in one or more lines what is wrong, `facts` what a rig amounts to."""

    file: Path
    name: str = ""
    facts: str = ""
    plan: Plan | None = None
    schedule: Schedule | None = None
    error: str = ""
    doubts: tuple[str, ...] = ()


def check(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN.yaml", help="Run files.")
    ] = None,
    rig: Annotated[
        Path | None, typer.Option("--rig", metavar="RIG.yaml", help="The rig file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> int:
    """Validate a rig file and run files, and print the plan of each run; nothing moves.

    Exit status 2 where anything is wrong, with every error on a line of its own.
    """
    if rig is None and not runs:
        raise typer.BadParameter("nothing to check: give run files, --rig RIG.yaml, or both")
    settings, judged = _judged_rig(rig)
    judged += [_judged_run(path, settings) for path in runs or []]
    if as_json:
        typer.echo(json.dumps([_entry(each) for each in judged], indent=2, ensure_ascii=False))
    else:
        _print(judged)
    return 2 if any(each.error for each in judged) else 0


def _judged_rig(path: Path | None) -> tuple[Rig | None, list[_Judged]]:
    if path is None:
        return None, []
    try:
        rig = load_rig(path, follow=True)
        doubted = doubts(rig, path)
    except ZstackdError as error:
        return None, [_Judged(path, error=str(error))]
    step_um = largest_step_um(rig.optics)
    facts = f"planes should lie at most {step_um:.3g} µm apart (step auto)"
    return rig, [_Judged(path, name=rig.name, facts=facts, doubts=doubted)]


def _judged_run(path: Path, rig: Rig | None) -> _Judged:
    try:
        content = read_document(path)
        run = parse_run(content, name=str(path))
        schedule = schedule_of(run, datetime.now(UTC), source=str(path)) if is_series(run) else None
        if rig is None:
            return _Judged(path, name=run.name, schedule=schedule)
        plan = plan_run(rig, run, source=str(path), content=content, step_um=known_step_um(rig))
    except ZstackdError as error:
        return _Judged(path, error=str(error))
    return _Judged(path, name=run.name, plan=plan, schedule=schedule)


def _entry(judged: _Judged) -> dict[str, Any]:
    plan = judged.plan and {**asdict(judged.plan), "disk_bytes": judged.plan.disk_bytes}
    warnings = plan.pop("warnings") if plan else judged.doubts
    return {
        "file": str(judged.file),
        "ok": not judged.error,
        "name": judged.name or None,
        "errors": judged.error.splitlines(),
        "warnings": warnings,
        "plan": plan,
        "runs": judged.schedule.count if judged.schedule else (1 if plan else None),
    }


def _print(judged: list[_Judged]) -> None:
    for each in judged:
        if each.error:
            sys.stderr.write(f"{each.error}\n")
            continue
        facts = f"; {each.facts}" if each.facts else ""
        typer.echo(f"{each.file}: {each.name}: valid{facts}")
        if each.plan is not None:
            Console().print(_table(each.plan, each.schedule))
        for warning in each.plan.warnings if each.plan else ():
            sys.stderr.write(f"{each.file}: warning: {warning}\n")
        for doubt in each.doubts:
            sys.stderr.write(f"warning: {doubt}\n")


def _table(plan: Plan, schedule: Schedule | None) -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row("planes", _planes(plan))
    table.add_row("duration", f"about {span(plan.seconds)} of rig time")
    table.add_row("disk", f"up to {readable(plan.disk_bytes)}")
    table.add_row("memory", f"up to {readable(plan.peak_memory_bytes)}")
    if schedule is not None:
        table.add_row("runs", _runs(schedule, plan.seconds))
    return table


def _runs(schedule: Schedule, seconds: float) -> str:
    """Say how many runs there are, and when the last one is done: one begins after the other."""
    done_s = 0.0
    for offset_s in schedule.offsets_s:
        done_s = max(done_s, offset_s) + seconds
    said = f"{schedule.count} like this one, the last one done after {span(done_s)}"
    late_s = done_s - seconds - schedule.offsets_s[-1]
    is_late = schedule.timed and late_s > _DRIFT_S
    return said + f", {span(late_s)} late: a run takes longer than from one to the next" * is_late


def _planes(plan: Plan) -> str:
    heights = [f"{z_um:z.6g}" for z_um in plan.planes_um]
    if len(heights) > _MOST_HEIGHTS:
        heights = [*heights[: _MOST_HEIGHTS // 2], "…", *heights[-_MOST_HEIGHTS // 2 :]]
    where = " from the reference height of the moment; held against the limits then"
    return f"{len(plan.planes_um)}: {', '.join(heights)} µm{where * plan.from_current}"
