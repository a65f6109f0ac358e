"""The height that a run starts from: where the axis stands, or a focus that is looked for."""

from zstackd.runs.autofocus import find_focus
from zstackd.runs.task import Task
from zstackd_config.run import Run
from zstackd_drivers.factory import Devices


def reference_height_um(task: Task, run: Run, devices: Devices) -> float | None:
    """Return the height in µm that relative planes start from; None where nobody knows it.

    Where the run begins with autofocus, the axis moves and the exposure is locked. Raises
    NoFocusError where no focus can be trusted, and what stopped the run.
    """
    if run.autofocus is None:
        return devices.axis.snapshot().position_um
    pulse = task.pulses.of("focus")

    def next_plane() -> None:
        task.halt.check_between()
        pulse.beat()

    task.journal.append("focusing", range_um=run.autofocus.range_um)
    devices.camera.lock_exposure(run.exposure)
    found = find_focus(devices, task.rig, run.autofocus.range_um, check=next_plane)
    pulse.rest()
    task.journal.append("focused", z_um=round(found.z_um, 3), contrast=round(found.contrast, 3))
    return found.z_um
