"""`service:` of the rig file: how the service treats runs, results and room over months."""

from typing import Annotated, Literal

from pydantic import Field

from zstackd_config.base import Settings

Days = Annotated[float, Field(gt=0, le=36500)]
Gigabytes = Annotated[float, Field(gt=0, le=1e6)]


class Retention(Settings):
    """When old things of one kind are deleted; what is absent never is a reason.

    The oldest go first. Frames of runs that have not ended, results that are not acknowledged
    where `acknowledge` asks for it, and what other programs put into the folders are never touched.
    The newest result goes for its age alone, unless it is acknowledged.
    """

    max_age_days: Days | None = Field(None, description="Delete what is older, in days.")
    max_size_gb: Gigabytes | None = Field(
        None,
        description="Delete the oldest until the rest takes no more, in gigabytes (10^9). The "
        "newest result stays all the same, unless it is acknowledged.",
    )
    min_free_gb: Gigabytes | None = Field(
        None,
        description="Delete the oldest while the file system has less free, in gigabytes (10^9). "
        "Not applied where it is no larger than that; the newest result stays as above.",
    )


class Hook(Settings):
    """A program that is started after a run has ended; see docs/operations.md."""

    command: tuple[str, ...] = Field(
        min_length=1,
        max_length=64,
        description="Program and arguments, one by one; no shell reads them.",
    )
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        30.0, description="Seconds after which the program is ended."
    )


class Service(Settings):
    """How the service treats runs, results and room; every value has a careful default."""

    when_not_resumable: Literal["wait", "end"] = Field(
        "wait",
        description="What becomes of a run that a crash caught in capture and that cannot go on "
        "by itself (position unknown, frames damaged): `wait` for an operator, or `end` it as "
        "interrupted, with what was captured stacked and marked as partial.",
    )
    reserve_mb: Annotated[float, Field(ge=1, le=1e6)] = Field(
        64.0, description="Kept free on every file system, in megabytes (10^6)."
    )
    frames: Retention = Field(Retention(), description="Retention of frames in the spool.")
    results: Retention = Field(Retention(), description="Retention of published results.")
    acknowledge: Literal["none", "file"] = Field(
        "none",
        description="`file`: a consumer acknowledges a result by making a file `acknowledged` in "
        "it, or by taking the folder away; before that neither it nor its frames are deleted.",
    )
    on_published: Hook | None = Field(
        None,
        description="Started after each published result; ZSTACKD_MANIFEST names its manifest.",
    )
    on_failed: Hook | None = Field(
        None, description="Started after a run failed; ZSTACKD_REASON says why."
    )
