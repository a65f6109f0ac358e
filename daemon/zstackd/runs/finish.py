"""The end of a run: the result and its manifest, put together and made to appear."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from zstackd.runs.frame_store import StoredFrame
from zstackd.runs.manifest import (
    CameraEntry,
    FrameEntry,
    Manifest,
    PublishedFile,
    TimingEntry,
    software_versions,
)
from zstackd.runs.past import Planned
from zstackd.runs.task import Published, Task
from zstackd.runs.timing import Timings
from zstackd.runs.worker import Worker
from zstackd.store.durable import storage_at
from zstackd_config.errors import ZstackdError
from zstackd_config.run import Run
from zstackd_stacking import StackResult
from zstackd_stacking.report import cut_offs

_PATIENCE_S: Final = 1.0
"""How long a stop waits for the file in work, so that what is half-written can be removed."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Publishes a finished stack; `partial_because` says why planes are missing from it."""

    task: Task
    run: Run
    planned: Planned
    partial_because: str | None = None

    def published(
        self, result: StackResult, frames: Sequence[StoredFrame], timings: Timings
    ) -> Published:
        """Write everything, announce it in the journal, and let it appear; raises StorageError."""
        with storage_at(self.task.publisher.output):
            return self._published(result, frames, timings)

    def _published(
        self, result: StackResult, frames: Sequence[StoredFrame], timings: Timings
    ) -> Published:
        task = self.task
        pulse = task.pulses.of("publishing")
        pulse.beat()
        task.tell("publish", 0, 1)
        timing = TimingEntry.of(timings)
        files = self._written(result, frames)
        manifest = self._manifest(result, frames, files, timing)
        pulse.beat()
        task.publisher.complete(manifest)
        task.halt.check_between()
        name = task.publisher.free_name()
        task.journal.append(
            "publishing",
            name=name,
            place=task.publisher.place(),
            partial_because=self.partial_because,
        )
        appeared = task.publisher.appear(name)
        task.tell("publish", 1, 1)
        return Published(appeared, manifest)

    def _written(
        self, result: StackResult, frames: Sequence[StoredFrame]
    ) -> tuple[PublishedFile, ...]:
        """Write the files of the result; a stop does not wait for the one that is in work."""
        task = self.task
        exposures_s = {frame.index: frame.exposure.exposure_time_ms / 1000 for frame in frames}
        writer = Worker(
            "publishing",
            lambda: task.publisher.prepare(
                result,
                self.run.output,
                optics=task.rig.optics,
                exposures_s=exposures_s,
            ),
            task.halt,
        )
        writer.start()
        try:
            return writer.result()
        except ZstackdError:
            writer.join(time.monotonic() + _PATIENCE_S)
            raise

    def _manifest(
        self,
        result: StackResult,
        frames: Sequence[StoredFrame],
        files: tuple[PublishedFile, ...],
        timing: TimingEntry,
    ) -> Manifest:
        task, run = self.task, self.run
        return Manifest(
            run_id=task.folder.run_id,
            name=run.name,
            finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            files=files,
            frames=tuple(
                FrameEntry.of(stored, report)
                for stored, report in zip(frames, result.report.frames, strict=True)
            ),
            planes_um=self.planned.plan.planes_um,
            partial_because=self.partial_because,
            warnings=(
                *self.planned.plan.warnings,
                *(found.message for found in cut_offs(result)),
            ),
            attempts=task.past.attempts + 1,
            series=task.past.series,
            point=task.past.point,
            stacking_method=result.report.method,
            reference_plane=result.report.reference_index,
            pixel_size_um=task.rig.optics.pixel_size_um,
            camera=CameraEntry(**asdict(self.planned.camera)),
            focus=self.planned.focus,
            request=run.model_dump(mode="json"),
            rig=task.rig.model_dump(mode="json"),
            metadata=run.metadata,
            timing=timing,
            software=software_versions(),
        )
