"""What a run's journal proves to have been done before: where an attempt goes on."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zstackd.runs.frame_store import RawFile, StoredFrame
from zstackd.runs.plan import Plan
from zstackd.store.durable import sha256_of
from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.camera import CameraInfo, ExposureValues

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan as it was begun, and the rig it was begun on."""

    plan: Plan
    camera: CameraInfo
    focus: str

    def as_facts(self) -> dict[str, Any]:
        """Return the plan as the journal keeps it; `planned_from` reads it back."""
        return {
            "planes_um": self.plan.planes_um,
            "seconds": round(self.plan.seconds, 1),
            "frame_bytes": self.plan.frame_bytes,
            "result_bytes": self.plan.result_bytes,
            "peak_memory_bytes": self.plan.peak_memory_bytes,
            "warnings": self.plan.warnings,
            "camera": {
                "driver": self.camera.driver,
                "model": self.camera.model,
                "size_px": self.camera.size_px,
                "channels": self.camera.channels,
                "bits": self.camera.bits,
            },
            "focus": self.focus,
        }


@dataclass(frozen=True, slots=True)
class Past:
    """The earlier attempts at one run; empty for a run that was never begun.

    `frames` are those the journal knows, in order of planes; whether the files are still what was
    written is for `damaged` to say. `publishing` is the entry after which a result may be out.
    """

    attempts: int = 0
    planned: Planned | None = None
    exposure: ExposureValues | None = None
    frames: tuple[StoredFrame, ...] = ()
    captured: bool = False
    publishing: Mapping[str, Any] | None = None
    series: str | None = None
    point: int | None = None

    @property
    def needs_frames(self) -> bool:
        """Whether the frames are needed still: no result was announced that is made of them."""
        return self.publishing is None

    def missing(self) -> list[int]:
        """Return the planes that no frame is known of; a replayed folder begins anew."""
        if self.planned is None:
            return []
        have = {frame.index for frame in self.frames}
        if self.planned.camera.driver == "folder":
            have = set()
        return [i for i in range(len(self.planned.plan.planes_um)) if i not in have]

    def exposure_for(
        self, asked: LockedAutoExposure | ManualExposure
    ) -> LockedAutoExposure | ManualExposure:
        """Return the exposure to lock: what the frames so far were taken with, or what is asked."""
        if self.exposure is None or not self.exposure.exposure_time_ms:
            return asked
        return ManualExposure(
            mode="manual",
            exposure_time_ms=self.exposure.exposure_time_ms,
            analogue_gain=self.exposure.analogue_gain,
            colour_gains=self.exposure.colour_gains,
        )


def past_of(entries: Sequence[Mapping[str, Any]]) -> Past:
    """Return what the entries of a journal prove."""
    frames: dict[int, StoredFrame] = {}
    for entry in entries:
        if entry["event"] == "frame":
            stored = _stored(entry)
            frames[stored.index] = stored
    accepted = _last(entries, "accepted") or {}
    planned = _last(entries, "planned")
    exposure = _last(entries, "exposure_locked")
    return Past(
        attempts=sum(entry["event"] == "started" for entry in entries),
        planned=None if planned is None else _planned(planned),
        exposure=None if exposure is None else _exposure(exposure),
        frames=tuple(frames[index] for index in sorted(frames)),
        captured=_last(entries, "captured") is not None,
        publishing=_last(_since_last_start(entries), "publishing"),
        series=accepted.get("series"),
        point=accepted.get("point"),
    )


def damaged(frames: Sequence[StoredFrame], folder: Path) -> list[StoredFrame]:
    """Return the frames whose files are gone or no longer have the hash that was journaled."""
    return [frame for frame in frames if not _is_whole(frame, folder)]


def _is_whole(frame: StoredFrame, folder: Path) -> bool:
    raw = frame.raw
    return _verifies(folder / frame.file, frame.sha256) and (
        raw is None or _verifies(folder / raw.file, raw.sha256)
    )


def _verifies(path: Path, sha256: str) -> bool:
    try:
        return sha256_of(path) == sha256
    except OSError as error:
        _log.warning("%s: %s", path, error.strerror)
        return False


def _last(entries: Sequence[Mapping[str, Any]], event: str) -> Mapping[str, Any] | None:
    return next((entry for entry in reversed(entries) if entry["event"] == event), None)


def _since_last_start(entries: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the entries of the last attempt; what earlier ones announced it may have undone."""
    starts = [number for number, entry in enumerate(entries) if entry["event"] == "started"]
    return entries[starts[-1] :] if starts else entries


def _planned(entry: Mapping[str, Any]) -> Planned:
    camera = dict(entry["camera"])
    return Planned(
        plan=Plan(
            planes_um=tuple(entry["planes_um"]),
            from_current=False,
            seconds=entry["seconds"],
            frame_bytes=entry["frame_bytes"],
            result_bytes=entry["result_bytes"],
            peak_memory_bytes=entry["peak_memory_bytes"],
            warnings=tuple(entry.get("warnings", ())),
        ),
        camera=CameraInfo(**{**camera, "size_px": tuple(camera["size_px"])}),
        focus=entry["focus"],
    )


def _exposure(values: Mapping[str, Any]) -> ExposureValues:
    gains = values["colour_gains"]
    return ExposureValues(
        exposure_time_ms=values["exposure_time_ms"],
        analogue_gain=values["analogue_gain"],
        colour_gains=None if gains is None else (gains[0], gains[1]),
    )


def _stored(entry: Mapping[str, Any]) -> StoredFrame:
    return StoredFrame(
        index=entry["index"],
        file=entry["file"],
        bytes=entry["bytes"],
        sha256=entry["sha256"],
        commanded_um=entry["commanded_um"],
        reported_um=entry["reported_um"],
        approach=entry["approach"],
        sensor_timestamp_ns=entry["sensor_timestamp_ns"],
        exposure=_exposure(entry["exposure"]),
        extra=entry["extra"],
        raw=None if entry.get("raw") is None else RawFile(**entry["raw"]),
    )
