"""The height that a run starts from: where the axis stands, or a focus that is looked for."""

from contextlib import suppress

from zstackd.runs.autofocus import find_focus
from zstackd.runs.past import past_of
from zstackd.runs.plan import Plan, starts_from_current
from zstackd.runs.task import Task
from zstackd.store.journal import DAMAGE, read_journal
from zstackd.store.spool import RunFolder, point_id
from zstackd_config.rig import Rig
from zstackd_config.run import Run
from zstackd_config.sampling import largest_step_um
from zstackd_drivers.factory import Devices


def reference_height_um(task: Task, run: Run, devices: Devices) -> float | None:
    """Return the height in µm that relative planes start from; None where nobody knows it.

    That of a series is where the axis stood when its first run began, whatever moved it meanwhile.

    Where the run begins with autofocus, the axis moves and the exposure is locked. Raises
    NoFocusError where no focus can be trusted, and what stopped the run.
    """
    if run.autofocus is None:
        began_um = _series_began_at_um(task, run)
        return devices.axis.snapshot().position_um if began_um is None else began_um
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


def _series_began_at_um(task: Task, run: Run) -> float | None:
    """Return the height in µm that the runs of this one's series started from; None: none did."""
    series, point = task.past.series, task.past.point
    if series is None or point is None or not starts_from_current(run):
        return None
    for earlier in reversed(range(point)):
        folder = RunFolder(task.folder.path.parent / point_id(series, earlier))
        with suppress(OSError, *DAMAGE):
            planned = past_of(read_journal(folder.journal)).planned
            if planned is not None:
                return began_at_um(planned.plan, run, task.rig)
    return None


def began_at_um(plan: Plan, run: Run, rig: Rig) -> float:
    """Return the height in µm that the planes of a relative run were counted from."""
    offset_um = run.planes_um(0.0, largest_step_um=largest_step_um(rig.optics))[0]
    return plan.planes_um[0] - offset_um
