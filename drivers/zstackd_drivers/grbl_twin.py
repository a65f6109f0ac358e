"""A simulated GRBL controller on a pseudo-terminal.

`python -m zstackd_drivers.grbl_twin` prints the port's name and serves until end of input.
"""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from zstackd_drivers.clock import Clock, ScaledClock
from zstackd_drivers.firmware_twin import FirmwareTwin
from zstackd_drivers.grbl_firmware import GrblFirmware
from zstackd_drivers.grbl_setup import GrblSetup
from zstackd_drivers.other_firmware import OtherFirmware
from zstackd_drivers.twin_faults import Fault


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


def main() -> None:
    """Serve one twin until the end of standard input or a signal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--time-scale", type=float, default=1.0, help="simulated seconds a second")
    parser.add_argument("--backlash-um", type=float, default=8.0, help="lost motion in um")
    parser.add_argument("--link", type=Path, help="symbolic link to keep on the port")
    options = parser.parse_args()
    setup = GrblSetup(travel=(-10.0, 0.0), start=-4.0, backlash_um=options.backlash_um)
    with GrblTwin(setup=setup, clock=ScaledClock(options.time_scale), link=options.link) as twin:
        sys.stdout.write(f"{twin.port}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()


if __name__ == "__main__":
    main()
