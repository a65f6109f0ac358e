"""The z-plans of useq-schema, with its keys checked and its size bounded.

useq-schema ignores keys that it does not know and builds whatever size is asked for; a run file
that is misspelt, or asks for a million planes, is refused here instead.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeVar

import useq
from pydantic import Discriminator, Field, FiniteFloat, Tag, field_validator, model_validator
from useq import AnyZPlan

from zstackd_config.base import STRICT, Settings
from zstackd_config.suggest import near

MAX_PLANES: Final = 10_000
_EPSILON: Final = 1e-9

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
    if count > MAX_PLANES:
        raise ValueError(f"{count} planes are too many; at most {MAX_PLANES}: give a larger step")
    return plan


def _require_rising(top_um: float, bottom_um: float) -> None:
    if top_um < bottom_um:
        raise ValueError(
            f"top {top_um:zg} µm lies below bottom {bottom_um:zg} µm; swap them (go_up: false "
            "takes the planes from the top down)"
        )


class TopBottom(useq.ZTopBottom):
    """From an absolute bottom up to an absolute top."""

    model_config = STRICT
    top: HeightUm = Field(
        description="Upper end, in micrometres; where the step does not divide the range, the "
        "highest plane is the one nearest to it, up to half a step beyond."
    )
    bottom: HeightUm = Field(description="Lowest plane, in micrometres; always visited.")
    step: StepUm
    go_up: GoUp = True

    @model_validator(mode="after")
    def _rises_within_bounds(self) -> Self:
        _require_rising(self.top, self.bottom)
        return _bounded(self)


class RangeAround(useq.ZRangeAround):
    """A range centred on the reference height."""

    model_config = STRICT
    range: SpanUm = Field(
        description="Whole range around the reference, in micrometres; its upper end as `top`."
    )
    step: StepUm
    go_up: GoUp = True
    _bound = model_validator(mode="after")(_bounded)


class AboveBelow(useq.ZAboveBelow):
    """So far above and so far below the reference height."""

    model_config = STRICT
    above: SpanUm = Field(description="Distance above the reference, in micrometres; as `top`.")
    below: SpanUm = Field(description="Distance below the reference, in micrometres.")
    step: StepUm
    go_up: GoUp = True
    _bound = model_validator(mode="after")(_bounded)


def _as_written(heights: Any) -> Any:
    """Let useq-schema not make a list of what is none: text would become its characters."""
    return heights


class RelativePositions(useq.ZRelativePositions):
    """Heights listed one by one, from the reference height."""

    model_config = STRICT
    _normrel = field_validator("relative", mode="before")(_as_written)
    relative: HeightsUm = Field(description="Heights from the reference, in micrometres.")
    go_up: GoUp = True


class AbsolutePositions(useq.ZAbsolutePositions):
    """Heights listed one by one."""

    model_config = STRICT
    _normabs = field_validator("absolute", mode="before")(_as_written)
    absolute: HeightsUm = Field(description="Heights, in micrometres.")
    go_up: GoUp = True


Auto = Annotated[
    Literal["auto"],
    Field(
        description="`auto`: as far apart as the optics allow (docs/optics.md), and no further; "
        "both ends of the range are visited."
    ),
]


class AutoTopBottom(Settings):
    """From an absolute bottom up to an absolute top, in steps that suit the optics."""

    top: HeightUm = Field(description="Highest plane, in micrometres.")
    bottom: HeightUm = Field(description="Lowest plane, in micrometres.")
    step: Auto
    go_up: GoUp = True
    is_relative: ClassVar[bool] = False

    @model_validator(mode="after")
    def _low_before_high(self) -> Self:
        _require_rising(self.top, self.bottom)
        return self

    def stepped(self, largest_um: float) -> TopBottom:
        """Return the plan in even steps of at most `largest_um`."""
        step = even_step_um(self.top - self.bottom, largest_um)
        return TopBottom(top=self.top, bottom=self.bottom, step=step, go_up=self.go_up)


class AutoRangeAround(Settings):
    """A range centred on the reference height, in steps that suit the optics."""

    range: SpanUm = Field(description="Whole range around the reference, in micrometres.")
    step: Auto
    go_up: GoUp = True
    is_relative: ClassVar[bool] = True

    def stepped(self, largest_um: float) -> RangeAround:
        """Return the plan in even steps of at most `largest_um`."""
        step = even_step_um(self.range, largest_um)
        return RangeAround(range=self.range, step=step, go_up=self.go_up)


class AutoAboveBelow(Settings):
    """So far above and so far below the reference height, in steps that suit the optics."""

    above: SpanUm = Field(description="Distance above the reference, in micrometres.")
    below: SpanUm = Field(description="Distance below the reference, in micrometres.")
    step: Auto
    go_up: GoUp = True
    is_relative: ClassVar[bool] = True

    def stepped(self, largest_um: float) -> AboveBelow:
        """Return the plan in even steps of at most `largest_um`."""
        step = even_step_um(self.above + self.below, largest_um)
        return AboveBelow(above=self.above, below=self.below, step=step, go_up=self.go_up)


def span_um(plan: AnyZPlan) -> float | None:
    """Return the range that a plan of steps asks for; None for heights that are listed."""
    match plan:
        case TopBottom():
            return plan.top - plan.bottom
        case RangeAround():
            return plan.range
        case AboveBelow():
            return plan.above + plan.below
    return None


AutoPlan = AutoTopBottom | AutoRangeAround | AutoAboveBelow


def even_step_um(span_um: float, largest_um: float) -> float:
    """Return the step, of at most `largest_um`, that divides a span evenly."""
    count = max(1, math.ceil(span_um / largest_um - _EPSILON))
    return span_um / count if span_um > 0 else largest_um


_KIND_OF_KEY: Final = {
    "top": "top/bottom",
    "bottom": "top/bottom",
    "range": "range/step",
    "above": "above/below",
    "below": "above/below",
    "relative": "relative list",
    "absolute": "absolute list",
}


_WITH_STEP: Final = frozenset({"top/bottom", "range/step", "above/below"})


def _kind(plan: Any) -> str | None:
    """Return which z-plan a mapping or a model means.

    The first of its keys that belongs to just one kind decides, and whether its step is `auto`.
    """
    is_model = isinstance(plan, AnyZPlan | AutoPlan)
    keys = type(plan).model_fields if is_model else plan if isinstance(plan, Mapping) else ()
    kind = next((_KIND_OF_KEY[key] for key in keys if key in _KIND_OF_KEY), None)
    step = getattr(plan, "step", None) if is_model else plan.get("step") if keys else None
    return f"{kind} auto" if kind in _WITH_STEP and _means_auto(step) else kind


def _means_auto(step: Any) -> bool:
    """Return whether a step is `auto`, or a word near to it, which its own kind then refuses."""
    return isinstance(step, str) and near(step, ["auto"]) is not None


ZPlan = Annotated[
    Annotated[TopBottom, Tag("top/bottom")]
    | Annotated[RangeAround, Tag("range/step")]
    | Annotated[AboveBelow, Tag("above/below")]
    | Annotated[AutoTopBottom, Tag("top/bottom auto")]
    | Annotated[AutoRangeAround, Tag("range/step auto")]
    | Annotated[AutoAboveBelow, Tag("above/below auto")]
    | Annotated[RelativePositions, Tag("relative list")]
    | Annotated[AbsolutePositions, Tag("absolute list")],
    Discriminator(
        _kind,
        custom_error_type="no_plan",
        custom_error_message="not a z-plan; give top, bottom and step · range and step · above, "
        "below and step · relative · or absolute",
    ),
]
