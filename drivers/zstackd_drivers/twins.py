"""Every focus driver's firmware twin: what `focus.port: simulated` starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from zstackd_config.focus import GrblFocus, MarlinFocus, SangaboardFocus, StepperFocus
from zstackd_config.rig import Simulation
from zstackd_drivers.clock import Clock
from zstackd_drivers.firmware_twin import Firmware, FirmwareTwin
from zstackd_drivers.grbl_firmware import GrblFirmware
from zstackd_drivers.grbl_setup import GrblSetup
from zstackd_drivers.marlin_firmware import MarlinFirmware
from zstackd_drivers.marlin_setup import MarlinSetup
from zstackd_drivers.sangaboard_firmware import SangaboardFirmware
from zstackd_drivers.sangaboard_setup import SangaboardSetup
from zstackd_drivers.twin_setup import TwinSetup


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


def make_twin(focus: StepperFocus, simulation: Simulation, clock: Clock) -> FirmwareTwin:
    """Return a controller that suits a rig, not yet switched on."""
    kind = TWINS[type(focus)]
    setup = kind.setup.from_rig(focus, simulation)
    return FirmwareTwin(kind.firmware(setup), setup=setup, clock=clock)
