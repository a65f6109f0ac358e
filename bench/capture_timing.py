"""Wall time of a 40-plane run at real-time scale, over motion, settling and exposure.

`python -m bench.capture_timing` runs it on the example rig (simulated, nothing scaled) and prints
where the time goes; exit status 1 where the ratio exceeds what was promised.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from zstackd.runs.manifest import Manifest, TimingEntry

MOST_RATIO = 1.15
RIG = Path(__file__).parents[1] / "config" / "examples" / "rig.simulated.yaml"
RUN = "name: forty planes\nz_plan: {bottom: 0, top: 195, step: 5}\n"
SHARES = ("motion_s", "settle_s", "exposure_s", "exposure_lock_s", "frame_wait_s", "writer_wait_s")


def measured(folder: Path) -> TimingEntry:
    """Do the run with state and output in `folder` and return what its manifest reports."""
    request = folder / "run.yaml"
    request.write_text(RUN)
    words = ["run", request, "--rig", RIG, "--state", folder / "state", "--output", folder / "out"]
    subprocess.run(
        [sys.executable, "-m", "zstackd", *map(str, words)], check=True, stderr=subprocess.DEVNULL
    )
    (manifest,) = (folder / "out").glob("*/manifest.json")
    return Manifest.model_validate_json(manifest.read_bytes()).timing


def main() -> int:
    """Measure once and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        timing = measured(Path(folder))
    for share in SHARES:
        print(f"{share:<18}{getattr(timing, share):>8.2f}")
    print(f"{'captured after':<18}{timing.capture_s:>8.2f}")
    print(f"{'stacked after':<18}{timing.wall_s:>8.2f}")
    print(f"{'ratio':<18}{timing.ratio:>8.3f}   at most {MOST_RATIO}")
    return 0 if timing.ratio <= MOST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
