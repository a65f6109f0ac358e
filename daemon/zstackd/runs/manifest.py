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

    name: str = Field(description="Name in the folder of the result.")
    role: Role = Field(description="What it is.")
    bytes: int = Field(description="Size in bytes.")
    sha256: str = Field(description="SHA-256 of its bytes, in hexadecimal digits.")


class Exposure(_Entry):
    """Exposure as the camera reports it."""

    exposure_time_ms: float = Field(description="Exposure time in milliseconds.")
    analogue_gain: float = Field(description="Analogue gain (no unit).")
    colour_gains: tuple[float, float] | None = Field(
        description="Red and blue gain (no unit); null where the camera has none."
    )

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

    file: str = Field(description="Name beside the frame.")
    bytes: int = Field(description="Size in bytes.")
    sha256: str = Field(description="SHA-256 of its bytes.")


class FrameEntry(_Entry):
    """One frame: how it was taken, what was stored, what the stacking made of it."""

    plane: int = Field(description="Number of the plane in `planes_um`, from 0.")
    file: str = Field(description="Name in the run's frames folder of the spool.")
    bytes: int = Field(description="Size in bytes.")
    sha256: str = Field(description="SHA-256 of its bytes.")
    raw: RawEntry | None = Field(description="Its DNG, where the camera keeps them.")
    commanded_um: float = Field(description="Height of the plane as planned, in micrometres.")
    reported_um: float = Field(description="Height that the controller reported, in micrometres.")
    z_um: float = Field(
        description="Where the axis stood by all that is known, on a whole motor step, in "
        "micrometres; heights count from it."
    )
    approach: Literal["up", "down"] = Field(description="Direction of the last motion onto it.")
    sensor_timestamp_ns: int = Field(description="Start of exposure in the rig clock's time.")
    exposure: Exposure = Field(description="Exposure that the frame's own metadata tell.")
    camera: dict[str, Any] = Field(description="Further metadata of the frame.")
    sharpness: float = Field(description="Mean focus measure; comparable within this stack.")
    transform: tuple[tuple[float, float, float], tuple[float, float, float]] = Field(
        description="Affine matrix from frame pixels to result pixels."
    )
    residual_px: float | None = Field(
        description="What alignment left, in pixels; null where nothing was aligned."
    )
    used: bool = Field(description="Whether it is part of the result.")
    note: str = Field(
        description="Why it is not, or what to know of it; empty where there is nothing."
    )

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

    driver: str = Field(description="Driver from the rig file.")
    model: str = Field(description="The camera's own words on what it is.")
    size_px: tuple[int, int] = Field(description="Width and height in pixels.")
    channels: int = Field(description="1 or 3.")
    bits: int = Field(description="Bits per channel.")


class TimingEntry(_Entry):
    """Seconds of the rig's clock; `time_scale` of them pass in one second of the wall clock.

    They are those of all attempts together; of one that was cut off, up to its last frame.
    """

    time_scale: float = Field(description="1 on a real rig.")
    wall_s: float = Field(
        description="From the start of the run to the finished stack, less what lies between "
        "attempts."
    )
    capture_s: float = Field(description="The same, to the last frame in hand.")
    motion_s: float = Field(description="Moving, in seconds.")
    settle_s: float = Field(description="Resting after moves, in seconds.")
    exposure_s: float = Field(description="Exposing, in seconds.")
    ratio: float = Field(description="wall_s over the sum of motion, settle and exposure.")
    exposure_lock_s: float = Field(description="Finding the exposure, in seconds.")
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

    schema_version: Literal["zstackd-manifest/1"] = Field(
        "zstackd-manifest/1",
        description="Changes where a key is taken away or means another thing; keys may be added.",
    )
    run_id: str = Field(description="Id of the run.")
    name: str = Field(description="Name from the run file.")
    finished_at: str = Field(description="When the result was complete, ISO 8601, UTC.")
    files: tuple[PublishedFile, ...] = Field(description="Every file of the result but this one.")
    frames: tuple[FrameEntry, ...] = Field(description="The frames, by plane.")
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
    stacking_method: str = Field(description="Method that fused them.")
    reference_plane: int = Field(description="Plane whose geometry the result has.")
    pixel_size_um: float = Field(description="Size of one pixel on the specimen.")
    camera: CameraEntry = Field(description="The camera.")
    focus: str = Field(description="The focus controller's own words on what it is.")
    request: dict[str, JsonValue] = Field(description="The run file as resolved.")
    rig: dict[str, JsonValue] = Field(description="The rig file as resolved.")
    metadata: dict[str, JsonValue] = Field(description="The run file's free notes.")
    timing: TimingEntry = Field(description="Where the time went.")
    software: dict[str, str] = Field(description="Versions of what made the result.")


def software_versions() -> dict[str, str]:
    """Return the versions of what made a result."""
    versions = {name: _version(name) for name in _SOFTWARE}
    return {**versions, "python": platform.python_version(), "system": platform.platform()}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
