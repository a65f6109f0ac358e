"""The steps of one run, in order; `zstackd.runner` closes it whatever happens in them."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from zstackd.capture import CaptureLoop
from zstackd.channel import Channel
from zstackd.frame_store import CapturedFrame, FrameStore
from zstackd.fusing import Fusing
from zstackd.halt import Halt
from zstackd.journal import Journal
from zstackd.manifest import CameraEntry, FrameEntry, Manifest, TimingEntry, software_versions
from zstackd.plan import Plan, plan_run
from zstackd.progress import Tell
from zstackd.publish import Publisher
from zstackd.room import require_memory, require_room
from zstackd.safety import motor_stops_with
from zstackd.spool import RunFolder
from zstackd.timing import Timings
from zstackd.worker import Worker
from zstackd_config.load import load_run
from zstackd_config.rig import Rig
from zstackd_config.run import Run
from zstackd_drivers.factory import Devices, reference_axis
from zstackd_stacking import StackResult

_QUEUE_FRAMES = 2


class Published(NamedTuple):
    """Where the result appeared, and its manifest."""

    folder: Path
    manifest: Manifest


class Attempt:
    """One run on open devices: plan, capture and stack at once, publish."""

    def __init__(
        self,
        *,
        rig: Rig,
        devices: Devices,
        folder: RunFolder,
        journal: Journal,
        publisher: Publisher,
        halt: Halt,
        tell: Tell,
    ) -> None:
        self._rig = rig
        self._devices = devices
        self._folder = folder
        self._journal = journal
        self._publisher = publisher
        self._halt = halt
        self._tell = tell

    def published(self) -> Published:
        """Do it all and return the result; raises what stopped it."""
        run = load_run(self._folder.request)
        with motor_stops_with(self._halt, self._devices):
            reference_axis(self._devices.axis, self._rig.focus)
            plan = self._planned(run)
            store = self._store()
            timings = Timings(self._devices.clock)
            fusing = self._fusing(run, plan, store, timings)
            self._capture(run, plan, store, timings)
        result = fusing.result()
        self._journal.append("stacked")
        return self._publish(run, result, store, timings)

    def _planned(self, run: Run) -> Plan:
        axis = self._devices.axis
        plan = plan_run(
            self._rig,
            run,
            source=str(self._folder.request),
            camera=self._devices.camera.info(),
            reference_um=axis.snapshot().position_um,
            move_s=axis.move_duration_s,
        )
        require_room(
            (self._folder.path, plan.bytes_from(0)), (self._publisher.output, plan.result_bytes)
        )
        require_memory(plan.peak_memory_bytes)
        self._journal.append(
            "planned",
            planes_um=plan.planes_um,
            seconds=round(plan.seconds, 1),
            disk_bytes=plan.disk_bytes,
            peak_memory_bytes=plan.peak_memory_bytes,
        )
        return plan

    def _store(self) -> FrameStore:
        store = FrameStore(
            self._folder.frames,
            self._rig.frames,
            self._halt,
            pixel_size_um=self._rig.optics.pixel_size_um,
        )
        store.prepare(bits=self._devices.camera.info().bits)
        return store

    def _fusing(
        self, run: Run, plan: Plan, store: FrameStore, timings: Timings
    ) -> Worker[StackResult]:
        fusing = Fusing(
            store=store, plan=plan, options=run.stacking, timings=timings, tell=self._tell
        )
        worker = Worker("stacking", fusing.run, self._halt)
        worker.start()
        return worker

    def _capture(self, run: Run, plan: Plan, store: FrameStore, timings: Timings) -> None:
        """Capture all planes and return once the last frame is on the disk."""
        frames = Channel[CapturedFrame](_QUEUE_FRAMES, self._halt)
        writer = Worker("frame writer", lambda: self._write(frames, store), self._halt)
        writer.start()
        CaptureLoop(
            axis=self._devices.axis,
            camera=self._devices.camera,
            clock=self._devices.clock,
            settle_ms=self._rig.focus.settle_ms,
            plan=plan,
            store=store,
            journal=self._journal,
            timings=timings,
            halt=self._halt,
            tell=self._tell,
        ).run(range(len(plan.planes_um)), run.exposure, frames)
        writer.result()
        self._journal.append("captured", planes=len(plan.planes_um))

    def _write(self, frames: Channel[CapturedFrame], store: FrameStore) -> None:
        while (captured := frames.get()) is not None:
            stored = store.write(captured)
            self._journal.append("frame", **asdict(stored))
            store.announce(stored)

    def _publish(
        self, run: Run, result: StackResult, store: FrameStore, timings: Timings
    ) -> Published:
        self._tell("publish", 0, 1)
        files = self._publisher.prepare(
            result, run.output, pixel_size_um=self._rig.optics.pixel_size_um
        )
        manifest = Manifest(
            run_id=self._folder.run_id,
            name=run.name,
            finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            files=files,
            frames=tuple(
                FrameEntry.of(stored, report)
                for stored, report in zip(store.stored(), result.report.frames, strict=True)
            ),
            stacking_method=result.report.method,
            reference_plane=result.report.reference_index,
            pixel_size_um=self._rig.optics.pixel_size_um,
            camera=CameraEntry(**asdict(self._devices.camera.info())),
            focus=self._devices.axis.identity(),
            request=run.model_dump(mode="json"),
            rig=self._rig.model_dump(mode="json"),
            metadata=run.metadata,
            timing=TimingEntry.of(timings),
            software=software_versions(),
        )
        self._halt.check()
        name = self._publisher.free_name()
        self._journal.append("publishing", name=name)
        appeared = self._publisher.appear(manifest, name)
        self._journal.append("published", result=str(appeared))
        self._tell("publish", 1, 1)
        return Published(appeared, manifest)
