"""`zstackd doctor`: what is wrong with this rig, and how to mend it."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from zstackd.doctor.devices import devices
from zstackd.doctor.diagnosis import Diagnosis, Level, failure, fine, warning
from zstackd.doctor.folders import folders
from zstackd.doctor.machine import machine
from zstackd.doctor.named_files import named_files
from zstackd.doctor.unit import unit
from zstackd_config.doubts import doubts
from zstackd_config.errors import ZstackdError
from zstackd_config.load import load_rig

DEFAULT_RIG: Final = Path("/etc/zstackd/rig.yaml")
_COLOURS: Final = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def doctor(
    rig: Annotated[
        Path, typer.Option("--rig", metavar="RIG.yaml", help="The rig file.")
    ] = DEFAULT_RIG,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> int:
    """Look at configuration, devices, folders, computer and service; nothing moves.

    Each line is ok, warn or fail, and says what to do. Exit status 1 where anything fails.
    """
    lines = [*_of_rig(rig), *machine(), *unit()]
    if as_json:
        entries = [{**asdict(line), "level": line.level.value} for line in lines]
        typer.echo(json.dumps(entries, indent=2, ensure_ascii=False))
    else:
        _print(lines)
    return 1 if any(line.level is Level.FAIL for line in lines) else 0


def _of_rig(path: Path) -> list[Diagnosis]:
    try:
        rig = load_rig(path, follow=True)
        doubted = doubts(rig, path)
    except ZstackdError as error:
        said = [failure("configuration", line) for line in str(error).splitlines()]
        return [*said, failure("devices", "not looked at without a valid rig file")]
    return [
        fine("configuration", f"{path}: {rig.name}: valid"),
        *(warning("optics", each) for each in doubted),
        *devices(rig),
        *folders(rig.paths),
        *named_files(rig),
    ]


def _print(lines: list[Diagnosis]) -> None:
    width = max(len(line.subject) for line in lines)
    for line in lines:
        level = f"{line.level.value:<4}"
        if sys.stdout.isatty():
            level = typer.style(level, fg=_COLOURS[line.level], bold=True)
        typer.echo(f"{level}  {line.subject:<{width}}  {line.finding}")
        if line.remedy:
            typer.echo(f"{'':<4}  {'':<{width}}  → {line.remedy}")
