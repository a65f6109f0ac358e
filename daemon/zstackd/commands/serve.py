"""`zstackd serve`: the service in the foreground, as systemd runs it."""

import logging
import threading
from pathlib import Path
from typing import Annotated

import typer

from zstackd.api.front import Front, Reloading
from zstackd.runs.halt import Halt
from zstackd.service.catalogue import Catalogue
from zstackd.service.events import Events
from zstackd.service.hardware import Hardware
from zstackd.service.house import House
from zstackd.service.service import Service
from zstackd.store.output_mount import expected_mount
from zstackd.store.spool import Spool
from zstackd.system.notify import Notifier
from zstackd.system.signals import StopSignals
from zstackd_config.doubts import doubts
from zstackd_config.folders import require_apart
from zstackd_config.load import load_rig

_log = logging.getLogger(__name__)


def serve(
    rig: Annotated[Path, typer.Option("--rig", metavar="RIG.yaml", help="The rig file.")],
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder for results, instead of the rig's."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder for the spool, instead of the rig's."),
    ] = None,
) -> None:
    """Run what is dropped into the inbox, until SIGTERM."""
    settings = load_rig(rig, follow=True)
    place, results = state or settings.paths.state, (output or settings.paths.output).absolute()
    require_apart(place, results)
    doubted = doubts(settings, rig)
    stop, events, hung_up = Halt(), Events(), threading.Event()
    catalogue = Catalogue(events)
    with (
        StopSignals(lambda signal: stop.request(f"stopped by {signal}"), hung_up.set),
        Spool(place, catalogue.hear) as spool,
    ):
        house = House(
            spool=spool,
            output=results,
            mount=expected_mount(spool.state, results),
            hardware=Hardware(settings, stop),
            events=events,
            catalogue=catalogue,
            stop=stop,
        )
        service = Service(house)
        reload = Reloading(service.control, rig.absolute(), Notifier.from_environment())
        with Front(house, service.control, reload, hung_up) as front:
            for doubt in doubted:
                _log.warning("%s", doubt)
            service.run(front.open)
