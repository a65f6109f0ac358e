"""Every focus driver's firmware twin: what `focus.port: simulated` starts.

`python -m zstackd_drivers.twins RIG.yaml` prints the port of one that suits the rig, and serves it
until the end of standard input: a controller for any program that speaks to one.
"""

import argparse
import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from zstackd_config.focus import GrblFocus, MarlinFocus, SangaboardFocus, StepperFocus
from zstackd_config.load import load_rig
from zstackd_config.rig import Simulation
from zstackd_drivers.clock import Clock, ScaledClock
from zstackd_drivers.firmware.setup import TwinSetup
from zstackd_drivers.firmware.twin import Firmware, FirmwareTwin
from zstackd_drivers.grbl.firmware import GrblFirmware
from zstackd_drivers.grbl.setup import GrblSetup
from zstackd_drivers.marlin.firmware import MarlinFirmware
from zstackd_drivers.marlin.setup import MarlinSetup
from zstackd_drivers.sangaboard.firmware import SangaboardFirmware
from zstackd_drivers.sangaboard.setup import SangaboardSetup


class _Setups(Protocol):
    def from_rig(self, focus: StepperFocus, simulation: Simulation) -> TwinSetup: ...


class _Firmwares(Protocol):
    def __call__(self, setup: Any, /) -> Firmware: ...


@dataclass(frozen=True, slots=True)
class TwinKind:
    """How to build one driver's twin."""

    setup: _Setups
    firmware: _Firmwares


TWINS: Mapping[type[StepperFocus], TwinKind] = {
    GrblFocus: TwinKind(GrblSetup, GrblFirmware),
    MarlinFocus: TwinKind(MarlinSetup, MarlinFirmware),
    SangaboardFocus: TwinKind(SangaboardSetup, SangaboardFirmware),
}


def make_twin(
    focus: StepperFocus, simulation: Simulation, clock: Clock, *, link: Path | None = None
) -> FirmwareTwin:
    """Return a controller that suits a rig, not yet switched on; `link` is kept on its port."""
    setup = setup_of(focus, simulation)
    return FirmwareTwin(TWINS[type(focus)].firmware(setup), setup=setup, clock=clock, link=link)


def setup_of(focus: StepperFocus, simulation: Simulation) -> TwinSetup:
    """Return what the simulated controller of a rig is."""
    return TWINS[type(focus)].setup.from_rig(focus, simulation)


def main() -> None:
    """Serve one twin until the end of standard input or Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve the simulated controller of a rig.")
    parser.add_argument("rig", type=Path, metavar="RIG.yaml")
    parser.add_argument("--link", type=Path, help="symbolic link to keep on the port")
    options = parser.parse_args()
    rig = load_rig(options.rig)
    clock = ScaledClock(rig.simulation.time_scale)
    with make_twin(rig.focus, rig.simulation, clock, link=options.link) as twin:
        sys.stdout.write(f"{twin.port}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()


if __name__ == "__main__":
    main()
