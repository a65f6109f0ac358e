"""Run files: one YAML request for one z-stack."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    JsonValue,
    PositiveFloat,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError
from useq import AnyZPlan

from zstackd_config.base import Name, Settings
from zstackd_config.errors import ConfigError
from zstackd_config.time_plan import TimePlan
from zstackd_config.z_plan import AutoPlan, HeightUm, ZPlan

_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2999


def _written(moment: Any) -> Any:
    """Refuse numbers, which pydantic would take as seconds since 1970."""
    if isinstance(moment, int | float):
        raise PydanticCustomError("datetime_type", "a number is no date")
    return moment


def _of_this_age(moment: datetime) -> datetime:
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"out of bounds; it must be of the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return moment


Planes = tuple[float, ...]
_WITHOUT_HEIGHTS = ("average", "maximum")
_FRUGAL = "pyramid"
_OF_HEIGHTS = ("confidence", "relief", "mesh")
Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_of_this_age)]


class LockedAutoExposure(Settings):
    """Let the automatic exposure converge once, then hold its values for all planes."""

    mode: Literal["locked_auto"] = "locked_auto"
    target_brightness: Annotated[float, Field(ge=0.02, le=0.95)] | None = Field(
        None,
        description="Mean brightness of the image to expose for, 0 to 1 of full scale (no unit); "
        "absent: what the camera's automatic exposure finds.",
    )
    highlight_headroom: Annotated[float, Field(ge=0, le=0.8)] | None = Field(
        None,
        description="Share of the scale kept free above the brightest 0.1 % of the pixels "
        "(no unit); it wins over `target_brightness`.",
    )


class ManualExposure(Settings):
    """Exposure given by the user."""

    mode: Literal["manual"]
    exposure_time_ms: Annotated[float, Field(gt=0, le=1e6)] = Field(
        description="Exposure time in milliseconds."
    )
    analogue_gain: Annotated[float, Field(ge=0, le=255)] = Field(
        1.0,
        description="Analogue gain (no unit), within what the sensor offers; a USB camera's own "
        "number, from 0.",
    )
    colour_gains: tuple[PositiveFloat, PositiveFloat] | None = Field(
        None, description="Red and blue gain (no unit); absent: the camera's neutral gains."
    )


Exposure = Annotated[LockedAutoExposure | ManualExposure, Field(discriminator="mode")]


class Autofocus(Settings):
    """A search for the height of best focus before the run."""

    range_um: tuple[HeightUm, HeightUm] = Field(
        description="Lowest and highest height to look at, in micrometres; the focus must lie "
        "well within."
    )

    @field_validator("range_um")
    @classmethod
    def _low_before_high(cls, range_um: tuple[float, float]) -> tuple[float, float]:
        low, high = range_um
        if not low < high:
            raise ValueError(f"{low:zg} to {high:zg} µm is no range; give the lower height first")
        return range_um


class Stacking(Settings):
    """How the frames become one image."""

    method: Literal["pyramid", "depthmap", "near", "far", "average", "maximum", "laplacian"] = (
        Field("pyramid", description="Fusion method; see docs/stacking.md.")
    )
    align: bool = Field(True, description="Align the planes; off for a rigid, telecentric rig.")
    reference: Literal["first", "middle", "last"] | Annotated[int, Field(ge=0)] = Field(
        "middle", description="Plane whose geometry the result has: a word or an index from 0."
    )
    memory: Literal["normal", "low"] = Field(
        "normal",
        description="`low` halves what the method `pyramid` holds, for large frames on a small "
        "computer: it takes longer, and leaves more noise in the image. Other methods refuse it.",
    )

    @field_validator("memory")
    @classmethod
    def _has_an_effect(cls, memory: str, info: ValidationInfo) -> str:
        method = info.data.get("method", _FRUGAL)
        if memory == "low" and method != _FRUGAL:
            raise ValueError(
                f"the method {method} takes no less by it; only {_FRUGAL} does: remove it"
            )
        return memory


class Output(Settings):
    """What is published."""

    format: Literal["tif", "ome.tif", "png", "jpg"] = Field(
        "tif",
        description="Format of the fused image; ome.tif carries scale, height and exposure to "
        "microscopy programs.",
    )
    jpeg_quality: Annotated[int, Field(ge=50, le=100)] = Field(
        95, description="JPEG quality (50 to 100) where the format is jpg."
    )
    extras: tuple[Literal["confidence", "relief", "mesh", "focus_curve"], ...] = Field(
        ("relief", "focus_curve"),
        description="Further files: how sure each height is (confidence.tif), heights as a lit "
        "surface (relief.png) and as a mesh in µm (mesh.ply), sharpness of each plane "
        "(focus_curve.png).",
    )


class Run(Settings):
    """One request: capture these planes, stack them, publish the result."""

    name: Name = Field(description="Name of the run, for people.")
    z_plan: ZPlan = Field(
        description="Planes in useq-schema's vocabulary, in micrometres: top/bottom/step, "
        "range/step, above/below/step, absolute, relative; go_up. A step may be `auto`."
    )
    autofocus: Autofocus | None = Field(
        None, description="Where to look for the focus, for `z_reference_um: autofocus`."
    )
    z_reference_um: HeightUm | Literal["current", "autofocus"] = Field(
        "current",
        validate_default=True,
        description="Height that relative z-plans start from, in micrometres; `current` is where "
        "the axis stands when the run begins, of a series when its first one does; `autofocus` is "
        "the height of best focus, found anew for each run. After either the axis goes back there.",
    )
    exposure: Exposure = LockedAutoExposure()
    stacking: Stacking = Stacking()
    output: Output = Output()
    priority: Annotated[int, Field(ge=-100, le=100)] = Field(
        0, description="Runs of higher priority are done before others that wait (-100 to 100)."
    )
    not_before: Moment | None = Field(
        None,
        description="Earliest start, ISO 8601 with its offset, such as 2026-11-24T18:30:00+01:00.",
    )
    repeat: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1, description="How often the run is done, one after the other."
    )
    time_plan: TimePlan | None = Field(
        None,
        description="Time-lapse in useq-schema's vocabulary (interval and loops, interval and "
        "duration, duration and loops, or a list of these): a run at each of its times.",
    )

    @field_validator("z_reference_um")
    @classmethod
    def _has_its_range(cls, reference: float | str, info: ValidationInfo) -> float | str:
        has_range = info.data.get("autofocus") is not None
        plan = info.data.get("z_plan")
        if reference == "autofocus" and "autofocus" in info.data and not has_range:
            raise ValueError("it needs a range; add autofocus: {range_um: [low, high]}")
        if reference != "autofocus" and has_range:
            raise ValueError("the section autofocus has no effect; write z_reference_um: autofocus")
        if reference != "current" and plan is not None and not plan.is_relative:
            raise ValueError("a z_plan of absolute heights has no reference; remove this key")
        return reference

    @field_validator("output")
    @classmethod
    def _can_be_made(cls, output: Output, info: ValidationInfo) -> Output:
        stacking = info.data.get("stacking")
        asked = output.extras if "extras" in output.model_fields_set else ()
        of_heights = [extra for extra in asked if extra in _OF_HEIGHTS]
        if of_heights and stacking is not None and stacking.method in _WITHOUT_HEIGHTS:
            raise ValueError(
                f"the extra {of_heights[0]} is made of heights, which stacking.method "
                f"{stacking.method} does not measure; leave it out or choose another method"
            )
        return output

    @field_validator("time_plan")
    @classmethod
    def _says_alone_how_often(cls, plan: TimePlan | None, info: ValidationInfo) -> TimePlan | None:
        repeat = info.data.get("repeat", 1)
        if plan is not None and repeat > 1:
            raise ValueError(f"it and repeat {repeat} both say how often; give one of them")
        return plan

    when_late: Literal["run", "skip"] = Field(
        "run",
        description="What becomes of a time of the time plan that has passed by more than "
        "`late_after_s` before its run can begin: `run` it as soon as can be, or `skip` it.",
    )
    late_after_s: Annotated[float, Field(gt=0, le=86_400)] = Field(
        5.0, description="Seconds after its time from which a run of a time plan counts as late."
    )
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict, description="Free notes that reach the manifest as they are."
    )

    @property
    def is_relative(self) -> bool:
        """Whether the planes start from a reference height."""
        return self.z_plan.is_relative

    def planes_um(self, reference_um: float, *, largest_step_um: float | None = None) -> Planes:
        """Return the heights of all planes in µm, in the order they are taken.

        `reference_um` is where relative z-plans start from; absolute ones do not use it.
        `largest_step_um` is what `step: auto` means on a rig; see `largest_step_um` in `sampling`.

        Raises:
            ConfigError: `step: auto` makes too many planes, or no `largest_step_um` is given.
        """
        plan = self._stepped(largest_step_um)
        if not plan.is_relative:
            return tuple(float(z_um) + 0.0 for z_um in plan)  # never -0
        start_um = self.z_reference_um if isinstance(self.z_reference_um, float) else reference_um
        return tuple(start_um + float(offset_um) + 0.0 for offset_um in plan)

    def _stepped(self, largest_um: float | None) -> AnyZPlan:
        if not isinstance(self.z_plan, AutoPlan):
            return self.z_plan
        if largest_um is None:
            raise ConfigError(["z_plan.step: auto needs a rig's optics; name the rig, or a step"])
        try:
            return self.z_plan.stepped(largest_um)
        except ValidationError as error:
            (problem,) = error.errors()
            said = f"z_plan: step auto is {largest_um:.3g} µm here: {problem['ctx']['error']}"
            raise ConfigError([said]) from error
