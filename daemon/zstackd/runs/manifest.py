"""`manifest.json`: everything a published result consists of and how it came about."""

import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from zstackd.runs.frame_store import StoredFrame
from zstackd.runs.timing import Timings
from zstackd_drivers.camera import ExposureValues
from zstackd_stacking import FrameReport

Role = Literal[
    "image", "preview", "depth", "depth_picture", "confidence", "relief", "mesh", "focus_curve"
]
"""What a file of a result is."""

_SOFTWARE = ("zstackd", "numpy", "opencv-python-headless", "tifffile", "useq-schema", "pyserial")


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PublishedFile(_Entry):
    """One file beside the manifest."""

    name: str
    role: Role
    bytes: int = Field(description="Size in bytes.")
    sha256: str


class Exposure(_Entry):
    """Exposure as the camera reports it."""

    exposure_time_ms: float
    analogue_gain: float
    colour_gains: tuple[float, float] | None

    @classmethod
    def of(cls, values: ExposureValues) -> "Exposure":
        """Return the entry for `values`."""
        return cls(
            exposure_time_ms=values.exposure_time_ms,
            analogue_gain=values.analogue_gain,
            colour_gains=values.colour_gains,
        )


class RawEntry(_Entry):
    """The sensor's own data of one frame, beside it in the spool."""

    file: str
    bytes: int
    sha256: str


class FrameEntry(_Entry):
    """One frame: how it was taken, what was stored, what the stacking made of it."""

    plane: int
    file: str = Field(description="Name in the run's frames folder of the spool.")
    bytes: int
    sha256: str
    raw: RawEntry | None = Field(description="Its DNG, where the camera keeps them.")
    commanded_um: float = Field(description="Height of the plane as planned.")
    reported_um: float = Field(description="Height that the focus controller reported.")
    z_um: float = Field(
        description="Where the axis stood by all that is known, on a whole motor step; heights "
        "count from it."
    )
    approach: Literal["up", "down"]
    sensor_timestamp_ns: int = Field(description="Start of exposure in the rig clock's time.")
    exposure: Exposure
    camera: dict[str, Any] = Field(description="Further metadata of the frame.")
    sharpness: float = Field(description="Mean focus measure; comparable within this stack.")
    transform: tuple[tuple[float, float, float], tuple[float, float, float]] = Field(
        description="Affine matrix from frame pixels to result pixels."
    )
    residual_px: float | None
    used: bool
    note: str

    @classmethod
    def of(cls, stored: StoredFrame, report: FrameReport) -> "FrameEntry":
        """Return the entry that joins what was stored with what stacking reports."""
        return cls(
            plane=stored.index,
            file=stored.file,
            bytes=stored.bytes,
            sha256=stored.sha256,
            raw=None if stored.raw is None else RawEntry(**asdict(stored.raw)),
            commanded_um=stored.commanded_um,
            reported_um=stored.reported_um,
            z_um=stored.z_um,
            approach=stored.approach,
            sensor_timestamp_ns=stored.sensor_timestamp_ns,
            exposure=Exposure.of(stored.exposure),
            camera=dict(stored.extra),
            sharpness=report.sharpness,
            transform=report.transform,
            residual_px=report.residual_px,
            used=report.used,
            note=report.note,
        )


class CameraEntry(_Entry):
    """The camera as it really is."""

    driver: str
    model: str
    size_px: tuple[int, int]
    channels: int
    bits: int


class TimingEntry(_Entry):
    """Seconds of the rig's clock; `time_scale` of them pass in one second of the wall clock.

    They are those of all attempts together; of one that was cut off, up to its last frame.
    """

    time_scale: float
    wall_s: float = Field(
        description="From the start of the run to the finished stack, less what lies between "
        "attempts."
    )
    capture_s: float = Field(description="The same, to the last frame in hand.")
    motion_s: float
    settle_s: float
    exposure_s: float
    ratio: float = Field(description="wall_s over the sum of motion, settle and exposure.")
    exposure_lock_s: float
    frame_wait_s: float = Field(description="Waiting for frames beyond settling and exposure.")
    writer_wait_s: float = Field(description="Capture waiting for room in the writer's queue.")
    stacking_s: float = Field(description="Time the stacker worked, mostly during capture.")

    @classmethod
    def of(cls, timings: Timings) -> "TimingEntry":
        """Return the entry for a run whose stack is finished now."""
        wall_s, necessary_s = timings.elapsed_s(), timings.necessary_s()
        captured_s = timings.captured_s
        return cls(
            time_scale=timings.time_scale,
            wall_s=wall_s,
            capture_s=wall_s if captured_s is None else captured_s,
            motion_s=timings.spent_s("motion"),
            settle_s=timings.spent_s("settle"),
            exposure_s=timings.spent_s("exposure"),
            ratio=wall_s / necessary_s if necessary_s else 0.0,
            exposure_lock_s=timings.spent_s("exposure_lock"),
            frame_wait_s=timings.spent_s("frame_wait"),
            writer_wait_s=timings.spent_s("writer_wait"),
            stacking_s=timings.spent_s("stacking"),
        )


class Manifest(_Entry):
    """A published result; complete by construction, since its folder appears by one rename."""

    schema_version: Literal["zstackd-manifest/1"] = "zstackd-manifest/1"
    run_id: str
    name: str
    finished_at: str = Field(description="When the result was complete, ISO 8601, UTC.")
    files: tuple[PublishedFile, ...]
    frames: tuple[FrameEntry, ...]
    planes_um: tuple[float, ...] = Field(description="Every plane that was planned.")
    partial_because: str | None = Field(
        description="Why planes are missing from this result; null where it is whole."
    )
    warnings: tuple[str, ...] = Field(
        description="What to do better next time, such as a z-range that is too short."
    )
    attempts: int = Field(description="How often the run was begun or gone on with; 1 is usual.")
    series: str | None = Field(description="The series that this is one point of.")
    point: int | None = Field(description="Number of the point in the series, from 0.")
    stacking_method: str
    reference_plane: int
    pixel_size_um: float = Field(description="Size of one pixel on the specimen.")
    camera: CameraEntry
    focus: str = Field(description="The focus controller's own words on what it is.")
    request: dict[str, JsonValue] = Field(description="The run file as resolved.")
    rig: dict[str, JsonValue] = Field(description="The rig file as resolved.")
    metadata: dict[str, JsonValue] = Field(description="The run file's free notes.")
    timing: TimingEntry
    software: dict[str, str]


def software_versions() -> dict[str, str]:
    """Return the versions of what made a result."""
    versions = {name: _version(name) for name in _SOFTWARE}
    return {**versions, "python": platform.python_version(), "system": platform.platform()}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
