"""Run files: one YAML request for one z-stack."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, PositiveFloat
from useq import AnyZPlan

from zstackd_config.base import Settings


class LockedAutoExposure(Settings):
    """Let the automatic exposure converge once, then hold its values for all planes."""

    mode: Literal["locked_auto"] = "locked_auto"


class ManualExposure(Settings):
    """Exposure given by the user."""

    mode: Literal["manual"]
    exposure_time_ms: PositiveFloat = Field(description="Exposure time in milliseconds.")
    analogue_gain: Annotated[float, Field(ge=1, le=64)] = Field(
        1.0, description="Analogue gain (no unit)."
    )
    colour_gains: tuple[PositiveFloat, PositiveFloat] | None = Field(
        None, description="Red and blue gain (no unit); absent: the camera's neutral gains."
    )


Exposure = Annotated[LockedAutoExposure | ManualExposure, Field(discriminator="mode")]


class Stacking(Settings):
    """How the frames become one image."""

    method: Literal["pyramid", "laplacian"] = Field(
        "pyramid", description="Fusion method; see docs/stacking.md."
    )
    align: bool = Field(True, description="Align the planes; off for a rigid, telecentric rig.")
    reference: Literal["first", "middle", "last"] | Annotated[int, Field(ge=0)] = Field(
        "middle", description="Plane whose geometry the result has: a word or an index from 0."
    )


class Output(Settings):
    """What is published."""

    format: Literal["tif", "png", "jpg"] = Field("tif", description="Format of the fused image.")
    jpeg_quality: Annotated[int, Field(ge=50, le=100)] = Field(
        95, description="JPEG quality (50 to 100) where the format is jpg."
    )


class Run(Settings):
    """One request: capture these planes, stack them, publish the result."""

    name: str = Field(min_length=1, max_length=80, description="Name of the run, for people.")
    z_plan: AnyZPlan = Field(
        description="Planes in useq-schema's vocabulary, in micrometres: top/bottom/step, "
        "range/step, above/below/step, absolute, relative; go_up."
    )
    z_reference_um: float | Literal["current"] = Field(
        "current",
        description="Height that relative z-plans start from, in micrometres; `current` is "
        "where the axis stands when the run begins.",
    )
    exposure: Exposure = LockedAutoExposure()
    stacking: Stacking = Stacking()
    output: Output = Output()
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict, description="Free notes that reach the manifest as they are."
    )
