"""What the end of a run leaves of the axis, on a controller that loses its position by a stop."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.rigs import simulated_rig

from zstackd.runs.frame_store import CapturedFrame, FrameStore, StoredFrame
from zstackd.runs.halt import Halt
from zstackd.runs.past import past_of
from zstackd.runs.publish import Publisher
from zstackd.runs.runner import run_with_rig
from zstackd.runs.task import Task
from zstackd.store.journal import read_journal
from zstackd.store.spool import Spool
from zstackd_config.errors import Interrupted, StorageError, ZstackdError
from zstackd_config.rig import Rig
from zstackd_drivers.axis import Reference
from zstackd_drivers.factory import open_devices
from zstackd_drivers.marlin.setup import MarlinSetup

if TYPE_CHECKING:
    from pathlib import Path

    from zstackd_config.focus import StepperFocus
    from zstackd_config.rig import Simulation

RUN = b"{name: x, z_plan: {absolute: [0, 100, 2000]}}"


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A rig whose motor loses steps when it is stopped without a ramp."""
    usual = MarlinSetup.from_rig

    def stiff(focus: StepperFocus, simulation: Simulation) -> MarlinSetup:
        return replace(usual(focus, simulation), jerk=0.01)

    monkeypatch.setattr(MarlinSetup, "from_rig", stiff)
    document = simulated_rig(
        focus={"driver": "marlin", "limits_um": [-100, 3000]},
        paths={"state": str(tmp_path / "state"), "output": str(tmp_path / "output")},
    )
    return Rig.model_validate(document)


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (StorageError("disk full"), Reference.REFERENCED),
        (Interrupted("stopped by SIGTERM"), Reference.UNREFERENCED),
    ],
)
def test_a_full_disk_lets_the_move_in_work_end_so_that_the_run_can_go_on_and_a_stop_does_not(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, error: ZstackdError, left: Reference
) -> None:
    usual = FrameStore.write
    rig.paths.output.mkdir()
    with Spool(rig.paths.state) as spool, open_devices(rig) as devices:
        folder = spool.accept_text(RUN, name="x")

        def write(store: FrameStore, captured: CapturedFrame) -> StoredFrame:
            if captured.index == 1 and not task.past.attempts:
                moving = threading.Event()
                for _ in range(500):
                    if devices.axis.snapshot().moving:
                        break
                    moving.wait(0.01)
                raise error
            return usual(store, captured)

        monkeypatch.setattr(FrameStore, "write", write)
        publisher = Publisher(rig.paths.output, folder.run_id, spool.owner)
        with spool.journal(folder) as journal:
            task = Task(rig, folder, journal, publisher, Halt())
            with pytest.raises(type(error), match=str(error)):
                run_with_rig(task, devices)
        assert devices.axis.snapshot().reference is left
        assert not devices.axis.snapshot().moving
        if left is Reference.UNREFERENCED:
            return
        with spool.journal(folder) as journal:
            past = past_of(read_journal(folder.journal))
            task = replace(task, journal=journal, past=past, halt=Halt())
            manifest = run_with_rig(task, devices).manifest
    exposures_s = sum(frame.exposure.exposure_time_ms for frame in manifest.frames) / 1000
    timing = manifest.timing
    assert timing.exposure_s > 0.999 * exposures_s
    assert timing.wall_s > timing.capture_s > past.spent_s["elapsed"] > 0
