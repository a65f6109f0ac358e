"""The steps of one run, in order; `zstackd.runs.runner` closes it whatever happens in them."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from zstackd.runs.capture import CaptureLoop
from zstackd.runs.channel import Channel
from zstackd.runs.checkpoint import Checkpoint
from zstackd.runs.finish import Finish
from zstackd.runs.first_focus import began_at_um, reference_height_um
from zstackd.runs.frame_store import CapturedFrame, FrameStore
from zstackd.runs.fusing import Fusing
from zstackd.runs.past import Planned, frame_settings
from zstackd.runs.plan import plan_run, starts_from_current
from zstackd.runs.safety import BETWEEN_PLANES, motor_stops_with
from zstackd.runs.settling import rest_of
from zstackd.runs.task import Published, Task
from zstackd.runs.timing import Timings
from zstackd.runs.worker import Worker
from zstackd.store.room import require_memory, require_room
from zstackd_config.errors import StackError, ZstackdError
from zstackd_config.load import load_run
from zstackd_drivers.factory import Devices, make_clock, reference_axis
from zstackd_stacking import StackResult

_QUEUE_FRAMES = 2
_PATIENCE_S = 1.0
_log = logging.getLogger(__name__)


class Attempt:
    """One run, begun or gone on with: plan, capture and stack at once, publish."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._run = load_run(task.folder.request)
        self._began: Planned | None = None

    def with_rig(self, devices: Devices) -> Published:
        """Capture what is missing, stack it all and publish; raises what stopped it."""
        task = self._task
        with motor_stops_with(task.halt, devices):
            reference_axis(devices.axis, task.rig.focus)
            self._began = planned = task.past.planned or self._planned(devices)
            missing = task.past.missing() if task.past.planned else _all(planned)
            store = self._store(planned, missing)
            timings = Timings(devices.clock, task.past.spent_s)
            fusing = self._fusing(_all(planned), store, timings)
            self._capture(devices, planned, missing, store, timings)
        return self._finished(planned, store, fusing, timings)

    def go_back(self, devices: Devices) -> None:
        """Leave the axis where it stood as a run began that counts its planes from there.

        The run is over: what keeps the axis from it is told, and no fault of the run.
        """
        task, planned = self._task, self._began
        if planned is None or not starts_from_current(self._run):
            return
        try:
            with motor_stops_with(task.halt, devices):
                task.halt.check()
                devices.axis.move_to(began_at_um(planned.plan, self._run, task.rig))
        except ZstackdError as error:
            _log.warning("%s: the axis did not go back to its start: %s", task.folder.run_id, error)

    def from_frames(self, *, partial_because: str | None = None) -> Published:
        """Stack and publish the frames that are there; `partial_because` marks the result."""
        planned = self._task.past.planned
        frames = [frame.index for frame in self._task.past.frames]
        if planned is None or not frames:
            raise StackError(f"{self._task.folder.run_id}: no frame was captured: nothing to stack")
        missing = sorted(set(_all(planned)) - set(frames))
        store = self._store(planned, missing)
        timings = Timings(make_clock(self._task.rig), self._task.past.spent_s)
        timings.mark_captured()
        fusing = self._fusing(frames, store, timings)
        return self._finished(planned, store, fusing, timings, partial_because)

    def _planned(self, devices: Devices) -> Planned:
        task, camera = self._task, devices.camera.info()
        plan = plan_run(
            task.rig,
            self._run,
            source=str(task.folder.request),
            camera=camera,
            reference_um=reference_height_um(task, self._run, devices),
            step_um=devices.axis.step_um,
            move_s=devices.axis.move_duration_s,
        )
        for warning in plan.warnings:
            _log.warning("%s: %s", task.folder.run_id, warning)
        require_room(
            (task.folder.path, plan.bytes_from(0)),
            (task.publisher.output, plan.result_bytes),
            reserve_bytes=task.reserve_bytes,
        )
        require_memory(plan.peak_memory_bytes)
        planned = Planned(plan, camera, devices.axis.identity(), frame_settings(task.rig))
        task.journal.append("planned", **planned.as_facts())
        return planned

    def _store(self, planned: Planned, missing: Sequence[int]) -> FrameStore:
        """Return the frame store, holding the frames of earlier attempts."""
        store = FrameStore(
            self._task.folder.frames,
            self._task.rig.frames,
            self._task.halt,
            pixel_size_um=self._task.rig.optics.pixel_size_um,
        )
        store.prepare(bits=planned.camera.bits)
        for frame in self._task.past.frames:
            if frame.index not in missing:
                store.announce(frame)
        return store

    def _fusing(
        self, frames: Sequence[int], store: FrameStore, timings: Timings
    ) -> Worker[StackResult]:
        fusing = Fusing(
            store=store,
            frames=frames,
            options=self._run.stacking,
            breathing_per_mm=self._task.rig.optics.breathing_per_mm,
            high_is_near=self._task.rig.optics.viewed_from == "above",
            timings=timings,
            halt=self._task.halt,
            pulse=self._task.pulses.of("stacking"),
            tell=self._task.tell,
        )
        worker = Worker("stacking", fusing.run, self._task.halt)
        worker.start()
        return worker

    def _capture(
        self,
        devices: Devices,
        planned: Planned,
        missing: Sequence[int],
        store: FrameStore,
        timings: Timings,
    ) -> None:
        """Capture the missing planes and return once the last frame is on the disk."""
        task = self._task
        loop = CaptureLoop(
            axis=devices.axis,
            camera=devices.camera,
            clock=devices.clock,
            rest=rest_of(task.rig.focus, devices.camera),
            plan=planned.plan,
            journal=task.journal,
            timings=timings,
            halt=task.halt,
            tell=task.tell,
            pulses=task.pulses,
            checkpoint=Checkpoint(
                plan=planned.plan,
                folder=store.folder,
                journal=task.journal,
                halt=task.halt,
                gates=task.gates,
                pulse=task.pulses.of("focus"),
                reserve_bytes=task.reserve_bytes,
            ),
        )
        with self._writing(store, timings) as frames:
            loop.run(missing, task.past.exposure_for(self._run.exposure), frames)
        task.journal.append("captured", planes=len(planned.plan.planes_um))

    @contextmanager
    def _writing(self, store: FrameStore, timings: Timings) -> Iterator[Channel[CapturedFrame]]:
        """Write frames meanwhile; the thread that does has ended before the run is closed."""
        halt = self._task.halt
        frames = Channel[CapturedFrame](_QUEUE_FRAMES, halt)
        writer = Worker("frame writer", lambda: self._write(frames, store, timings), halt)
        writer.start()
        try:
            yield frames
            writer.result()
        except BETWEEN_PLANES:
            frames.close()
            raise
        except BaseException as error:
            halt.fail(error)
            raise
        finally:
            # The frame in work is finished; a disk that does not answer is not waited for.
            writer.join(time.monotonic() + _PATIENCE_S)

    def _write(self, frames: Channel[CapturedFrame], store: FrameStore, timings: Timings) -> None:
        pulse = self._task.pulses.of("frame writer")
        pulse.rest()
        while (captured := frames.get()) is not None:
            pulse.beat()
            stored = store.write(captured)
            self._task.journal.append("frame", **asdict(stored), spent_s=timings.so_far())
            store.announce(stored)
            pulse.rest()

    def _finished(
        self,
        planned: Planned,
        store: FrameStore,
        fusing: Worker[StackResult],
        timings: Timings,
        partial_because: str | None = None,
    ) -> Published:
        result = fusing.result()
        task = self._task
        task.journal.append("stacked")
        task.pulses.of("stacking").rest()
        finish = Finish(task=task, run=self._run, planned=planned, partial_because=partial_because)
        return finish.published(result, store.stored(), timings)


def _all(planned: Planned) -> list[int]:
    return list(range(len(planned.plan.planes_um)))
