"""The time-plans of useq-schema, with their keys checked and their times bounded.

useq-schema ignores keys that it does not know; a time-plan that is misspelt is refused here.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final

import useq
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    field_validator,
)

from zstackd_config.base import STRICT
from zstackd_config.suggest import nearest

MAX_LOOPS: Final = 100_000
_LONGEST: Final = timedelta(days=3660)
_SHORTEST: Final = timedelta(milliseconds=1)
_OUT_OF_BOUNDS: Final = "out of bounds; it must be from 0.001 s to 3660 days"
_PARTS: Final = ("days", "hours", "minutes", "seconds", "milliseconds")
_CLOCK: Final = re.compile(r"([0-9]{1,4}):([0-5][0-9]):([0-5][0-9](?:\.[0-9]{1,6})?)")


def _span(value: Any) -> Any:
    """Return a time-span from seconds, `h:mm:ss`, ISO 8601 or a section such as `{minutes: 5}`."""
    if isinstance(value, Mapping):
        return _of_parts(value)
    if not isinstance(value, str) or value.startswith("P"):
        return value
    clock = _CLOCK.fullmatch(value.strip())
    if clock is None:
        raise ValueError("not a time-span; write seconds, h:mm:ss, or such as {minutes: 5}")
    return timedelta(hours=int(clock[1]), minutes=int(clock[2]), seconds=float(clock[3]))


def _of_parts(parts: Mapping[Any, Any]) -> timedelta:
    unknown = [key for key in parts if key not in _PARTS]
    if unknown:
        raise ValueError(f"unknown key {str(unknown[0])[:40]!r}; {nearest(unknown[0], _PARTS)}")
    if not all(type(amount) in (int, float) for amount in parts.values()):
        raise ValueError("days, hours, minutes and seconds must be numbers")
    try:
        return timedelta(**parts)
    except OverflowError as error:
        raise ValueError("too long; write at most 3660 days") from error
    except ValueError as error:  # not a number
        raise ValueError(_OUT_OF_BOUNDS) from error


def _bounded(span: timedelta) -> timedelta:
    if not _SHORTEST <= span <= _LONGEST:
        raise ValueError(_OUT_OF_BOUNDS)
    return span


Span = Annotated[
    timedelta,
    BeforeValidator(_span),
    AfterValidator(_bounded),
    PlainSerializer(timedelta.total_seconds),
]
Loops = Annotated[int, Field(ge=1, le=MAX_LOOPS)]
_INTERVAL: Final = (
    "Time from the start of one run to that of the next: seconds, `h:mm:ss`, or "
    "such as `{minutes: 5}`."
)
_DURATION: Final = "Time from the first run to the last: as `interval`."


class _Strict(BaseModel):
    """What the time-plans share; of useq-schema's keys, one has no meaning here."""

    model_config = STRICT
    prioritize_duration: bool = Field(False, exclude=True)

    @field_validator("prioritize_duration")
    @classmethod
    def _has_no_meaning(cls, _: bool) -> bool:
        raise ValueError("zstackd keeps to the times of the plan anyway; remove this key")


class IntervalLoops(_Strict, useq.TIntervalLoops):
    """So many runs, so far apart."""

    model_config = STRICT
    interval: Span = Field(description=_INTERVAL)
    loops: Loops = Field(description="How many runs.")


class DurationLoops(_Strict, useq.TDurationLoops):
    """So many runs, evenly spread over a time."""

    model_config = STRICT
    duration: Span = Field(description=_DURATION)
    loops: Annotated[int, Field(ge=2, le=MAX_LOOPS)] = Field(description="How many runs.")


class IntervalDuration(_Strict, useq.TIntervalDuration):
    """A run after each interval, until a time is over."""

    model_config = STRICT
    interval: Span = Field(description=_INTERVAL)
    duration: Span = Field(description=_DURATION)


def _kind(plan: Any) -> str | None:
    """Return which time-plan a mapping means, by its keys."""
    keys = plan if isinstance(plan, Mapping) else getattr(type(plan), "model_fields", ())
    if isinstance(plan, list) or "phases" in keys:
        return "phases"
    return _KINDS.get(frozenset(keys) & {"interval", "duration", "loops"})


_KINDS: Final = {
    frozenset({"interval", "loops"}): "interval/loops",
    frozenset({"interval"}): "interval/loops",
    frozenset({"duration", "loops"}): "duration/loops",
    frozenset({"loops"}): "interval/loops",
    frozenset({"interval", "duration"}): "interval/duration",
    frozenset({"duration"}): "interval/duration",
    frozenset({"interval", "duration", "loops"}): "interval/loops",
}
_ADVICE: Final = "give interval and loops · interval and duration · or duration and loops"

SinglePlan = Annotated[
    Annotated[IntervalLoops, Tag("interval/loops")]
    | Annotated[DurationLoops, Tag("duration/loops")]
    | Annotated[IntervalDuration, Tag("interval/duration")],
    Discriminator(
        _kind,
        custom_error_type="no_plan",
        custom_error_message=f"not a phase of a time-plan; {_ADVICE}",
    ),
]


class Phases(_Strict, useq.MultiPhaseTimePlan):
    """Several time-plans, one after the other; a list of them does as well."""

    model_config = STRICT
    phases: Annotated[list[SinglePlan], Field(min_length=1, max_length=1000)] = Field(
        description="The time-plans, in their order."
    )


TimePlan = Annotated[
    Annotated[IntervalLoops, Tag("interval/loops")]
    | Annotated[DurationLoops, Tag("duration/loops")]
    | Annotated[IntervalDuration, Tag("interval/duration")]
    | Annotated[Phases, Tag("phases")],
    Discriminator(
        _kind,
        custom_error_type="no_plan",
        custom_error_message=f"not a time-plan; {_ADVICE} · or a list of these",
    ),
]
