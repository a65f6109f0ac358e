"""`zstackd run`: one run in the foreground, with progress."""

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from zstackd.commands.options import JsonOption, finite, print_json
from zstackd.commands.reach import require_standing
from zstackd.runs.halt import Halt
from zstackd.runs.plan import plan_run
from zstackd.runs.publish import Publisher
from zstackd.runs.runner import run_with_rig
from zstackd.runs.task import Published, Task
from zstackd.service.recovery import recover
from zstackd.store.durable import make_folder
from zstackd.store.spool import Spool
from zstackd.system.signals import StopSignals
from zstackd.terminal.show import ProgressBars, ProgressLines, summary
from zstackd_config.doubts import doubts
from zstackd_config.folders import require_apart
from zstackd_config.load import load_rig, parse_run, read_document
from zstackd_config.rig import Rig
from zstackd_drivers.factory import open_devices

_log = logging.getLogger(__name__)


def run(
    request: Annotated[Path, typer.Argument(metavar="RUN.yaml", help="The run file.")],
    *,
    rig: Annotated[Path, typer.Option("--rig", metavar="RIG.yaml", help="The rig file.")],
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder for the result, instead of the rig's."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder for the spool, instead of the rig's."),
    ] = None,
    at_um: Annotated[
        float | None,
        typer.Option(
            "--at-um",
            metavar="UM",
            help="Vouch that the axis stands at this height, in micrometres; for rigs with "
            "`reference: confirm`.",
            callback=finite,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Capture, stack and publish one run in the foreground.

    `--json` prints where the `result` is, and its `manifest`.
    """
    settings = load_rig(rig, follow=True)
    spool, results = state or settings.paths.state, output or settings.paths.output
    require_apart(spool, results)
    for doubt in doubts(settings, rig):
        _log.warning("%s", doubt)
    published = _run(settings, request, results, spool, at_um)
    if as_json:
        print_json({"result": str(published.folder), "manifest": _document(published)})
    else:
        typer.echo(summary(published))


def _document(published: Published) -> dict[str, Any]:
    return published.manifest.model_dump(mode="json")


def _run(rig: Rig, request: Path, output: Path, state: Path, at_um: float | None) -> Published:
    name = _checked_name(rig, request)
    require_standing(
        rig.focus, at_um, otherwise=", or let the service do the run (zstackd submit RUN.yaml)"
    )
    halt = Halt()
    show = ProgressBars() if sys.stderr.isatty() else ProgressLines()
    with (
        StopSignals(lambda signal: halt.request(f"stopped by {signal}")),
        Spool(state) as spool,
    ):
        recover(spool, output)
        make_folder(output)
        with open_devices(rig) as devices:
            halt.check()
            if at_um is not None:
                devices.axis.confirm(at_um)
            folder = spool.accept(
                request, name=name, keep=True, source=str(request), foreground=True
            )
            with show, spool.journal(folder) as journal:
                publisher = Publisher(output.absolute(), folder.run_id, spool.owner)
                task = Task(rig, folder, journal, publisher, halt, tell=show)
                return run_with_rig(task, devices)


def _checked_name(rig: Rig, request: Path) -> str:
    """Refuse, before anything is opened, what can be seen to be wrong."""
    content = read_document(request)
    run = parse_run(content, name=str(request))
    plan_run(rig, run, source=str(request), content=content)
    return run.name
