"""A simulated GRBL controller on a pseudo-terminal."""

from collections.abc import Sequence
from pathlib import Path

from zstackd_drivers.clock import Clock
from zstackd_drivers.firmware.faults import Fault
from zstackd_drivers.firmware.other_firmware import OtherFirmware
from zstackd_drivers.firmware.twin import FirmwareTwin
from zstackd_drivers.grbl.firmware import GrblFirmware
from zstackd_drivers.grbl.setup import GrblSetup


class GrblTwin(FirmwareTwin):
    """GRBL 1.1, or what a port may hold instead of it."""

    def __init__(
        self,
        *,
        setup: GrblSetup,
        clock: Clock,
        faults: Sequence[Fault] = (),
        link: Path | None = None,
    ) -> None:
        other = setup.firmware
        firmware = GrblFirmware(setup) if other == "grbl" else OtherFirmware(other, setup)
        super().__init__(firmware, setup=setup, clock=clock, faults=faults, link=link)
