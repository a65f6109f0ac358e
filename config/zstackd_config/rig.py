"""`rig.yaml`: the camera, the optics, the focus axis and the folders of one rig."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from zstackd_config.api import Api
from zstackd_config.base import Settings
from zstackd_config.service import Service

OVERSHOOT_PER_BACKLASH = 1.25
"""How far past a plane a motion against the approach goes, as a share of the backlash."""

SizePx = tuple[Annotated[int, Field(ge=16, le=16384)], Annotated[int, Field(ge=16, le=16384)]]


class SimulatedCamera(Settings):
    """A camera twin that images a built-in specimen at the focus axis' true position."""

    driver: Literal["simulated"]
    size_px: SizePx = Field((2048, 1536), description="Frame width and height in pixels.")


class FolderCamera(Settings):
    """A camera that replays the images of a folder, one per plane, in natural order."""

    driver: Literal["folder"]
    path: Path = Field(description="Folder of images; relative to the rig file.")
    size_px: SizePx | None = Field(
        None, description="Expected width and height in pixels; any size if absent."
    )


Camera = Annotated[SimulatedCamera | FolderCamera, Field(discriminator="driver")]


class Optics(Settings):
    """What the objective and the sensor make of the specimen."""

    pixel_size_um: PositiveFloat = Field(
        description="Size of one pixel on the specimen, in micrometres."
    )
    numerical_aperture: Annotated[float, Field(gt=0, le=1.6)] = Field(
        description="Numerical aperture of the objective (no unit)."
    )
    magnification: PositiveFloat = Field(description="Magnification of the objective (no unit).")
    wavelength_nm: Annotated[float, Field(ge=200, le=2000)] = Field(
        550.0, description="Wavelength of the light, in nanometres."
    )


class GrblFocus(Settings):
    """A focus axis on the Z of a GRBL 1.1 controller."""

    driver: Literal["grbl"]
    port: str = Field(
        description="Device path of the controller (best: /dev/serial/by-id/…), or `simulated`."
    )
    baud: PositiveInt = Field(115200, description="Line speed in bits per second.")
    um_per_unit: float = Field(
        1000.0,
        description="Micrometres of focus travel per controller unit (GRBL: mm of $102); "
        "negative turns the direction round.",
    )
    origin_um: float = Field(
        0.0, description="Height in micrometres of the controller's machine zero."
    )
    limits_um: tuple[float, float] = Field(
        description="Lowest and highest permitted height, in micrometres."
    )
    backlash_um: Annotated[float, Field(ge=0)] = Field(
        description="Lost motion on reversal, in micrometres; each plane is approached from one "
        "side with an overshoot larger than this."
    )
    approach: Literal["up", "down"] = Field(
        "up", description="Direction of the last motion onto every plane."
    )
    speed_um_per_s: PositiveFloat = Field(description="Speed of moves, in micrometres per second.")
    settle_ms: Annotated[float, Field(ge=0, le=60_000)] = Field(
        description="Rest after each move before the exposure, in milliseconds."
    )
    reference: Literal["home", "confirm"] = Field(
        "home",
        description="How the position becomes known: `home` ($H at start), or `confirm` "
        "(an operator says where it stands).",
    )

    @field_validator("um_per_unit")
    @classmethod
    def _turns_the_motor(cls, um_per_unit: float) -> float:
        if um_per_unit == 0:
            raise ValueError("0 µm per unit would move nothing; give what one unit really moves")
        return um_per_unit

    @field_validator("limits_um")
    @classmethod
    def _low_before_high(cls, limits_um: tuple[float, float]) -> tuple[float, float]:
        low, high = limits_um
        if not low < high:
            raise ValueError(f"{low:g} to {high:g} µm is no range; give the lower height first")
        return limits_um

    @model_validator(mode="after")
    def _room_for_the_approach(self) -> Self:
        low, high = self.limits_um
        if self.backlash_um * OVERSHOOT_PER_BACKLASH >= high - low:
            raise ValueError(
                f"backlash_um {self.backlash_um:g} µm leaves no room to approach planes within "
                f"limits_um {low:g} to {high:g} µm; widen the limits"
            )
        return self


class Paths(Settings):
    """Folders of the service; relative ones are relative to the rig file."""

    state: Path = Field(description="Spool: inbox, accepted runs, frames.")
    output: Path = Field(description="Where finished results appear, by one rename.")


class Frames(Settings):
    """How captured frames are kept in the spool."""

    format: Literal["jpg", "png", "tif"] = Field("jpg", description="File format of each frame.")
    jpeg_quality: Annotated[int, Field(ge=50, le=100)] = Field(
        95, description="JPEG quality (50 to 100) where the format is jpg."
    )
    keep: Literal["always", "unless_published", "never"] = Field(
        "always",
        description="`always` keeps frames after the run; `unless_published` keeps them only "
        "where the run did not publish; `never` drops them whatever happened.",
    )


class Simulation(Settings):
    """The simulated twins; read only where the camera or the port is `simulated`."""

    specimen: Literal["diatom", "board", "insect"] = Field(
        "diatom", description="Built-in specimen that the camera twin images."
    )
    seed: Annotated[int, Field(ge=0)] = Field(1, description="Seed of specimen and noise.")
    time_scale: PositiveFloat = Field(
        1.0, description="How many simulated seconds pass in a real one."
    )
    backlash_um: Annotated[float, Field(ge=0)] = Field(
        8.0, description="True lost motion of the simulated axis, in micrometres."
    )
    noise: Annotated[float, Field(ge=0, le=10)] = Field(
        1.0, description="Sensor noise relative to a typical small sensor (no unit)."
    )
    breathing_per_mm: Annotated[float, Field(ge=-0.2, le=0.2)] = Field(
        0.02, description="Relative change of magnification per millimetre of focus."
    )
    vibration_um: Annotated[float, Field(ge=0, le=100)] = Field(
        2.0, description="Image shake right after a move, in micrometres on the specimen."
    )
    vibration_decay_ms: PositiveFloat = Field(
        40.0, description="Time in which the shake falls to a third, in milliseconds."
    )


class Rig(Settings):
    """One rig: everything that stays the same from run to run."""

    name: str = Field(min_length=1, max_length=80, description="Name of the rig.")
    camera: Camera
    optics: Optics
    focus: GrblFocus
    paths: Paths
    frames: Frames = Frames()
    simulation: Simulation = Simulation()
    service: Service = Service()
    api: Api = Api()

    def relative_to(self, folder: Path) -> Self:
        """Return the rig with its relative paths taken from `folder`."""
        paths = Paths(state=folder / self.paths.state, output=folder / self.paths.output)
        camera = self.camera
        if isinstance(camera, FolderCamera):
            camera = camera.model_copy(update={"path": folder / camera.path})
        api = self.api.relative_to(folder)
        return self.model_copy(update={"paths": paths, "camera": camera, "api": api})
