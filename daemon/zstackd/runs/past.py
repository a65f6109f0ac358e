"""What a run's journal proves to have been done before: where an attempt goes on."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from zstackd.runs.frame_store import RawFile, StoredFrame
from zstackd.runs.plan import Plan
from zstackd.store.durable import sha256_of
from zstackd_config.rig import Rig
from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.camera import CameraInfo, ExposureValues

_log = logging.getLogger(__name__)


_SAME_AXIS: Final = ("driver", "um_per_unit", "origin_um", "approach")


def frame_settings(rig: Rig) -> dict[str, Any]:
    """Return the settings that all frames of one stack must have in common, by their keys."""
    sections = {
        "camera": rig.camera.model_dump(mode="json"),
        "optics": rig.optics.model_dump(mode="json"),
        "focus": rig.focus.model_dump(mode="json", include=set(_SAME_AXIS)),
    }
    return {f"{name}.{key}": section[key] for name, section in sections.items() for key in section}


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan as it was begun, and the rig it was begun on.

    `settings` are its `frame_settings`; None in journals of a time that kept none.
    """

    plan: Plan
    camera: CameraInfo
    focus: str
    settings: Mapping[str, Any] | None = None

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
            "settings": self.settings,
        }

    def changes(self, rig: Rig) -> list[str]:
        """Return how a rig differs from that of the plan, as far as frames show it."""
        now = frame_settings(rig)
        before = now if self.settings is None else self.settings
        return [
            f"{key} was {before.get(key)}, is {now.get(key)}"
            for key in {**before, **now}
            if before.get(key) != now.get(key)
        ]


@dataclass(frozen=True, slots=True)
class Past:
    """The earlier attempts at one run; empty for a run that was never begun.

    `spent_s` is what they spent, by `Timings.so_far`. `frames` are those the journal knows, in
    order of planes; whether the files are still what was written is for `damaged` to say.
    `publishing` is the entry after which a result may be out.
    """

    attempts: int = 0
    planned: Planned | None = None
    exposure: ExposureValues | None = None
    frames: tuple[StoredFrame, ...] = ()
    spent_s: Mapping[str, float] = field(default_factory=dict)
    captured: bool = False
    publishing: Mapping[str, Any] | None = None
    series: str | None = None
    point: int | None = None

    @property
    def needs_frames(self) -> bool:
        """Whether the frames are needed still: no result was announced that is made of them."""
        return self.publishing is None

    def begun_anew(self) -> "Past":
        """Return the past of a run that takes all its planes again, by a new plan."""
        return replace(self, planned=None, exposure=None, frames=(), spent_s={}, captured=False)

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
    """Return what the entries of a journal prove; what came before its last plan is undone."""
    frames: dict[int, StoredFrame] = {}
    spent_s: Mapping[str, float] = {}
    of_plan = _since_last("planned", entries)
    for entry in of_plan:
        if entry["event"] == "frame":
            stored = stored_frame(entry)
            frames[stored.index] = stored
            spent_s = dict(entry.get("spent_s", spent_s))
    accepted = _last(entries, "accepted") or {}
    planned = _last(entries, "planned")
    exposure = _last(of_plan, "exposure_locked")
    return Past(
        attempts=sum(entry["event"] == "started" for entry in entries),
        planned=None if planned is None else _planned(planned),
        exposure=None if exposure is None else _exposure(exposure),
        frames=tuple(frames[index] for index in sorted(frames)),
        spent_s=spent_s,
        captured=_last(of_plan, "captured") is not None,
        # What earlier attempts announced they may have undone.
        publishing=_last(_since_last("started", entries), "publishing"),
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


def _since_last(event: str, entries: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the entries from the last such event on; all where there is none."""
    numbers = [number for number, entry in enumerate(entries) if entry["event"] == event]
    return entries[numbers[-1] :] if numbers else entries


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
        settings=entry.get("settings"),
    )


def _exposure(values: Mapping[str, Any]) -> ExposureValues:
    gains = values["colour_gains"]
    return ExposureValues(
        exposure_time_ms=values["exposure_time_ms"],
        analogue_gain=values["analogue_gain"],
        colour_gains=None if gains is None else (gains[0], gains[1]),
    )


def stored_frame(entry: Mapping[str, Any]) -> StoredFrame:
    """Return what a journal's entry tells of a frame."""
    return StoredFrame(
        index=entry["index"],
        file=entry["file"],
        bytes=entry["bytes"],
        sha256=entry["sha256"],
        commanded_um=entry["commanded_um"],
        reported_um=entry["reported_um"],
        # Journals of a time that kept it not: heights were the commanded ones.
        z_um=entry.get("z_um", entry["commanded_um"]),
        approach=entry["approach"],
        sensor_timestamp_ns=entry["sensor_timestamp_ns"],
        exposure=_exposure(entry["exposure"]),
        extra=entry["extra"],
        raw=None if entry.get("raw") is None else RawFile(**entry["raw"]),
    )
