"""What the API answers with: the facade's dataclasses as documented JSON.

Folders of the machine are told as text for people; none is ever taken from a client.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from zstackd.runs.plan import Plan
from zstackd.service.control import Accepted, ServiceStatus, Space
from zstackd.service.events import Event
from zstackd.service.loan import Loan
from zstackd.service.series import SeriesSummary
from zstackd.store.run_state import RunState, RunSummary
from zstackd_drivers.axis import AxisSnapshot
from zstackd_drivers.camera import CameraInfo

Height = Annotated[float, Field(strict=True, ge=-1e7, le=1e7)]
"""In a request, in micrometres: a number and nothing that might be taken for one."""


class Answer(BaseModel):
    """Read from the facade's dataclasses, field by field."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class RunAnswer(Answer):
    """One run."""

    run_id: str = Field(description="Id of the run; results and files are asked for by it.")
    name: str = Field(description="Name from the run file.")
    state: RunState = Field(
        description="Where it stands; see [Operating](operations.md#where-a-run-stands)."
    )
    accepted_at: str = Field(description="When it was accepted.")
    started_at: str | None = Field(description="When it was first begun.")
    ended_at: str | None = Field(description="When it ended.")
    changed_at: str = Field(description="When it last changed.")
    attempts: int = Field(description="How often the run was begun.")
    priority: int = Field(description="Priority from the run file.")
    not_before: str | None = Field(description="Earliest start from the run file.")
    series: str | None = Field(description="Id of the time-lapse or repetition it belongs to.")
    point: int | None = Field(description="Its number in the series, from 0.")
    planes_done: int = Field(description="Planes whose frames are stored.")
    planes_total: int | None = Field(description="Planes in all; null until it was planned.")
    reason: str | None = Field(description="Why it waits, is paused, or has no whole result.")
    result: str | None = Field(description="The published folder.")
    is_partial: bool = Field(description="Whether planes are missing from the result.")
    frames_kept: bool = Field(description="Whether its frames are still in the spool.")
    consumed: bool = Field(description="Whether a consumer took or acknowledged the result.")

    @classmethod
    def of(cls, run: RunSummary) -> "RunAnswer":
        """Return the answer for a run."""
        fields = {name: getattr(run, name) for name in cls.model_fields if name != "result"}
        return cls(**fields, result=None if run.result is None else str(run.result))


class RunsAnswer(Answer):
    """Runs, the newest first."""

    runs: tuple[RunAnswer, ...] = Field(description="The runs.")


class SeriesAnswer(Answer):
    """A time-lapse or repetition; each of its points becomes a run when its time has come."""

    series_id: str = Field(description="Id of the series.")
    name: str = Field(description="Name from the run file.")
    count: int = Field(description="Points in all.")
    upcoming: int = Field(description="Number of the next point, from 0.")
    due_at: datetime | None = Field(description="When that point is due; null after the last.")
    skipped: int = Field(description="Points that were skipped.")
    current: str | None = Field(description="Id of the run of the point in work or in the queue.")

    @classmethod
    def of(cls, series: SeriesSummary) -> "SeriesAnswer":
        """Return the answer for a series."""
        return cls.model_validate(series)


class AllSeriesAnswer(Answer):
    """Series that have points left, oldest first."""

    series: tuple[SeriesAnswer, ...] = Field(description="The series.")


class AcceptedAnswer(Answer):
    """What a run file became: one run, or a series of runs."""

    run: RunAnswer | None = Field(description="The run; null where it is a series.")
    series: SeriesAnswer | None = Field(description="The series; null where it is one run.")
    warnings: tuple[str, ...] = Field(description="What the plan would do better otherwise.")

    @classmethod
    def of(cls, accepted: Accepted) -> "AcceptedAnswer":
        """Return the answer for what was accepted."""
        return cls(
            run=accepted.run and RunAnswer.of(accepted.run),
            series=accepted.series and SeriesAnswer.of(accepted.series),
            warnings=accepted.warnings,
        )


class JournalAnswer(Answer):
    """The journal of a run, oldest entry first; every entry has `at` and `event`."""

    entries: tuple[dict[str, JsonValue], ...] = Field(description="The entries.")


class PlanAnswer(Answer):
    """What a run would do and need."""

    planes_um: tuple[float, ...] = Field(description="Planes in order, in micrometres.")
    from_current: bool = Field(
        description="Whether the planes are relative to where the axis will stand."
    )
    seconds: float = Field(description="Estimated duration, in seconds.")
    disk_bytes: int = Field(description="Bytes of frames and result together, at most.")
    peak_memory_bytes: int = Field(description="Bytes of memory, at most.")
    warnings: tuple[str, ...] = Field(description="What it would do better otherwise.")

    @classmethod
    def of(cls, plan: Plan) -> "PlanAnswer":
        """Return the answer for a plan."""
        return cls.model_validate(plan)


class SpaceAnswer(Answer):
    """Room on the file system of one folder, in bytes; null where the folder is not there."""

    folder: str = Field(description="The folder.")
    free_bytes: int | None = Field(description="Free for the service.")
    total_bytes: int | None = Field(description="Size of the file system.")

    @classmethod
    def of(cls, space: Space) -> "SpaceAnswer":
        """Return the answer for a folder."""
        return cls(
            folder=str(space.folder), free_bytes=space.free_bytes, total_bytes=space.total_bytes
        )


class AxisAnswer(Answer):
    """The focus axis as last reported."""

    reference: Literal["unreferenced", "referenced"] = Field(
        description="Whether the position is known; an unreferenced axis never moves."
    )
    position_um: float | None = Field(
        description="Height in micrometres, as the controller says; while `reference` is "
        "unreferenced, nobody vouches for it."
    )
    moving: bool = Field(description="Whether it moves now.")
    fault: str | None = Field(description="Why the position is not known, where there is a reason.")

    @classmethod
    def of(cls, axis: AxisSnapshot) -> "AxisAnswer":
        """Return the answer for an axis."""
        return cls(
            reference=axis.reference.value,
            position_um=axis.position_um,
            moving=axis.moving,
            fault=axis.fault,
        )


class CameraAnswer(Answer):
    """The open camera."""

    driver: str = Field(description="Driver from the rig file.")
    model: str = Field(description="The camera's own words on what it is.")
    size_px: tuple[int, int] = Field(description="Width and height in pixels.")
    channels: int = Field(description="1 or 3.")
    bits: int = Field(description="Bits per channel.")

    @classmethod
    def of(cls, camera: CameraInfo) -> "CameraAnswer":
        """Return the answer for a camera."""
        return cls.model_validate(camera)


class LoanAnswer(Answer):
    """Who has borrowed the rig: its devices are closed for that program, and runs wait."""

    to: str = Field(description="The borrower, in its own words.")
    since: datetime = Field(description="When it was lent.")

    @classmethod
    def of(cls, loan: Loan | None) -> "LoanAnswer | None":
        """Return the answer for a loan, where there is one."""
        return None if loan is None else cls(to=loan.to, since=loan.since)


class StatusAnswer(Answer):
    """The service at one moment."""

    state: str = Field(description="starting, idle, running, paused, lent, degraded or stopping.")
    why: str | None = Field(description="One line; null where there is nothing to say.")
    rig: str = Field(description="Name of the rig.")
    version: str = Field(description="Version of zstackd.")
    started_at: str = Field(description="When the service started.")
    current: RunAnswer | None = Field(description="The run in work.")
    queue: int = Field(description="Runs that wait.")
    counts: dict[RunState, int] = Field(description="Runs in memory by state.")
    axis: AxisAnswer | None = Field(description="Null while the controller is not there.")
    camera: CameraAnswer | None = Field(description="Null while the camera is not there.")
    spool: SpaceAnswer = Field(description="Room in the state folder.")
    output: SpaceAnswer = Field(description="Room in the output folder.")
    reserved_bytes: int = Field(description="What the run in work will still write.")
    faults: int = Field(description="Hardware faults since the start.")
    loan: LoanAnswer | None = Field(description="To whom the rig is lent; null where it is not.")
    temperature_c: float | None = Field(description="Temperature of the computer, in °C.")

    @classmethod
    def of(cls, status: ServiceStatus, *, temperature_c: float | None) -> "StatusAnswer":
        """Return the answer for a service."""
        return cls(
            state=status.state,
            why=status.why,
            rig=status.rig,
            version=status.version,
            started_at=status.started_at,
            current=None if status.current is None else RunAnswer.of(status.current),
            queue=status.queue,
            counts=status.counts,
            axis=None if status.axis is None else AxisAnswer.of(status.axis),
            camera=None if status.camera is None else CameraAnswer.of(status.camera),
            spool=SpaceAnswer.of(status.spool),
            output=SpaceAnswer.of(status.output),
            reserved_bytes=status.reserved_bytes,
            faults=status.faults,
            loan=LoanAnswer.of(status.loan),
            temperature_c=temperature_c,
        )


class ViewAnswer(Answer):
    """What is known of a frame that was looked at."""

    run_id: str | None = Field(
        description="The run in work, whose newest frame it is; null: it was taken to be looked at."
    )
    z_um: float | None = Field(description="Its height in micrometres; null: nobody knows it.")
    exposure_time_ms: float = Field(description="Exposure time in milliseconds.")
    analogue_gain: float = Field(description="Analogue gain (no unit).")
    sharpness: float = Field(description="Of what is shown, before it is reduced (no unit).")
    brightness: float = Field(description="Mean of what is shown, 0 to 1.")
    highlight: float = Field(description="What 99.9 % of it are below, 0 to 1.")
    saturated: bool = Field(description="Whether that is as good as full scale.")
    size_px: tuple[int, int] = Field(description="Width and height of the whole frame.")
    largest_step_um: float = Field(
        description="Distance of planes at which the rig's optics lose nothing, in micrometres."
    )


class HealthAnswer(Answer):
    """Whether every essential thread makes progress."""

    status: Literal["ok", "hanging"] = Field(description="Whether any of them hangs.")
    late_s: dict[str, float] = Field(description="Threads that hang, seconds overdue.")
    loan: LoanAnswer | None = Field(description="To whom the rig is lent; null where it is not.")


class ReloadAnswer(Answer):
    """What a reload of the rig file changed."""

    changes: tuple[str, ...] = Field(description="The sections that changed.")
    note: str = Field(
        description="From when on they are in force, where a run is in work, and what becomes of "
        "the axis' position; empty where there is nothing to say."
    )


class MessagesAnswer(Answer):
    """The newest log messages of the service, oldest first."""

    messages: tuple["Message", ...] = Field(description="The messages.")


class Message(Answer):
    """One log message."""

    at: datetime = Field(description="When.")
    level: str = Field(description="info, warning or error.")
    text: str = Field(description="The message.")


class EventAnswer(Answer):
    """One event, as the `data` of a server-sent event; its `kind` is the event's name."""

    number: int = Field(
        description="Grows by one from event to event, from 1 at the service's start."
    )
    at: str = Field(description="When.")
    kind: str = Field(description="What happened; see below.")
    run_id: str | None = Field(description="The run; null where no single run is meant.")
    facts: dict[str, Any] = Field(description="What belongs to the kind.")

    @classmethod
    def of(cls, event: Event) -> "EventAnswer":
        """Return the answer for an event."""
        return cls(
            number=event.number,
            at=event.at,
            kind=event.kind,
            run_id=event.run_id,
            facts=dict(event.facts),
        )


class Problem(Answer):
    """Why a request was refused (RFC 9457), with what the command line ends with."""

    title: str = Field(description="The HTTP status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong and what to do; one line for each problem.")
    exit_status: int = Field(description="Exit status of the command line for this problem.")


class SampleAnswer(Answer):
    """One plane that was looked at."""

    z_um: float = Field(description="Height in micrometres.")
    sharpness: float = Field(description="Sharpness there (no unit).")


class FocusAnswer(Answer):
    """The height of best focus, where the axis now stands."""

    z_um: float = Field(description="Height of best focus, in micrometres.")
    contrast: float = Field(description="How far the peak stands out, 0 to 1.")
    rivals_um: tuple[float, ...] = Field(description="Other heights where sharpness peaks.")
    samples: tuple[SampleAnswer, ...] = Field(description="Every plane looked at, by height.")


class Sweep(BaseModel):
    """Between which heights to look for the focus."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    low_um: Height = Field(description="Lowest height, in micrometres.")
    high_um: Height = Field(
        description="Highest height, in micrometres; the focus lies well within."
    )


class Position(BaseModel):
    """A height that an operator vouches for."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    position_um: Height = Field(description="Where the axis stands, in micrometres.")


class Target(BaseModel):
    """A height to move to."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    z_um: Height = Field(description="Where to move, in micrometres; within the rig's limits.")
