"""The z-plans of useq-schema, with its keys checked and its size bounded.

useq-schema ignores keys that it does not know and builds whatever size is asked for; a run file
that is misspelt, or asks for a million planes, is refused here instead.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

import useq
from pydantic import Discriminator, Field, FiniteFloat, Tag, model_validator
from useq import AnyZPlan

from zstackd_config.base import STRICT

MAX_PLANES: Final = 10_000

StepUm = Annotated[FiniteFloat, Field(gt=0, le=100_000, description="Step in micrometres.")]
SpanUm = Annotated[FiniteFloat, Field(ge=0, le=10_000_000)]
HeightUm = Annotated[FiniteFloat, Field(ge=-10_000_000, le=10_000_000)]
HeightsUm = Annotated[list[HeightUm], Field(min_length=1, max_length=MAX_PLANES)]
GoUp = Annotated[
    bool, Field(description="Whether the planes are taken in rising order (or as listed).")
]
AnyPlan = TypeVar("AnyPlan", bound=AnyZPlan)


def _bounded(plan: AnyPlan) -> AnyPlan:
    count = plan.num_positions()
    if count < 1:
        raise ValueError("it has no planes; `top` must not lie below `bottom`")
    if count > MAX_PLANES:
        raise ValueError(f"{count} planes are too many; at most {MAX_PLANES}: give a larger step")
    return plan


class TopBottom(useq.ZTopBottom):
    """From an absolute bottom up to an absolute top."""

    model_config = STRICT
    top: HeightUm = Field(description="Highest plane, in micrometres.")
    bottom: HeightUm = Field(description="Lowest plane, in micrometres; always visited.")
    step: StepUm
    go_up: GoUp = True
    _bound = model_validator(mode="after")(_bounded)


class RangeAround(useq.ZRangeAround):
    """A range centred on the reference height."""

    model_config = STRICT
    range: SpanUm = Field(description="Whole range around the reference, in micrometres.")
    step: StepUm
    go_up: GoUp = True
    _bound = model_validator(mode="after")(_bounded)


class AboveBelow(useq.ZAboveBelow):
    """So far above and so far below the reference height."""

    model_config = STRICT
    above: SpanUm = Field(description="Distance above the reference, in micrometres.")
    below: SpanUm = Field(description="Distance below the reference, in micrometres.")
    step: StepUm
    go_up: GoUp = True
    _bound = model_validator(mode="after")(_bounded)


class RelativePositions(useq.ZRelativePositions):
    """Heights listed one by one, from the reference height."""

    model_config = STRICT
    relative: HeightsUm = Field(description="Heights from the reference, in micrometres.")
    go_up: GoUp = True


class AbsolutePositions(useq.ZAbsolutePositions):
    """Heights listed one by one."""

    model_config = STRICT
    absolute: HeightsUm = Field(description="Heights, in micrometres.")
    go_up: GoUp = True


_KIND_OF_KEY: Final = {
    "top": "top/bottom",
    "bottom": "top/bottom",
    "range": "range/step",
    "above": "above/below",
    "below": "above/below",
    "relative": "relative list",
    "absolute": "absolute list",
}


def _kind(plan: Any) -> str | None:
    """Return which z-plan a mapping means, by the first of its keys that belongs to just one."""
    if isinstance(plan, AnyZPlan):
        return next(_KIND_OF_KEY[key] for key in type(plan).model_fields if key in _KIND_OF_KEY)
    keys = plan if isinstance(plan, Mapping) else ()
    return next((_KIND_OF_KEY[key] for key in keys if key in _KIND_OF_KEY), None)


ZPlan = Annotated[
    Annotated[TopBottom, Tag("top/bottom")]
    | Annotated[RangeAround, Tag("range/step")]
    | Annotated[AboveBelow, Tag("above/below")]
    | Annotated[RelativePositions, Tag("relative list")]
    | Annotated[AbsolutePositions, Tag("absolute list")],
    Discriminator(
        _kind,
        custom_error_type="no_plan",
        custom_error_message="not a z-plan; give top, bottom and step · range and step · above, "
        "below and step · relative · or absolute",
    ),
]
