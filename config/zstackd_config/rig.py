"""`rig.yaml`: the camera, the optics, the focus axis and the folders of one rig."""

import math
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, PositiveFloat, ValidationInfo, field_validator

from zstackd_config.api import Api
from zstackd_config.base import Name, Settings, SettingsPath
from zstackd_config.camera import Camera, FolderCamera, SimulatedCamera
from zstackd_config.focus import Focus
from zstackd_config.folders import Ground, entangled
from zstackd_config.service import Service

__all__ = [
    "Camera",
    "FolderCamera",
    "Frames",
    "Optics",
    "Paths",
    "Rig",
    "SimulatedCamera",
    "Simulation",
]

GROUND: Final = "ground"
"""Key, in the context of a validation, of the `Ground` on which the file's paths stand."""

MOST_BREATHING_PER_MM: Final = 0.2
Breathing = Annotated[float, Field(ge=-MOST_BREATHING_PER_MM, le=MOST_BREATHING_PER_MM)]


class Optics(Settings):
    """What the objective and the sensor make of the specimen."""

    pixel_size_um: Annotated[float, Field(ge=0.001, le=1000)] = Field(
        description="Size of one pixel on the specimen, in micrometres: that of one on the sensor, "
        "divided by the magnification. Warned of where it would be no sensor's."
    )
    refractive_index: Annotated[float, Field(ge=1, le=2)] = Field(
        1.0,
        description="Refractive index between specimen and objective (no unit): 1 for air, 1.33 "
        "for water, 1.515 for oil.",
    )
    numerical_aperture: Annotated[float, Field(gt=0, le=1.6)] = Field(
        description="Numerical aperture of the objective (no unit)."
    )
    magnification: Annotated[float, Field(ge=0.01, le=1000)] = Field(
        description="Magnification of the objective (no unit)."
    )
    wavelength_nm: Annotated[float, Field(ge=200, le=2000)] = Field(
        550.0, description="Wavelength of the light, in nanometres."
    )
    breathing_per_mm: Breathing = Field(
        0.0,
        description="Relative change of magnification per millimetre of focus, as `zstackd "
        "calibrate magnification` measures it; the alignment of a stack starts from it.",
    )

    viewed_from: Literal["above", "below"] = Field(
        "above",
        description="Side from which the objective looks: greater heights are nearer to one above "
        "the specimen, farther from one below it, as in an inverted microscope. The stacking "
        "methods near and far and the relief go by it.",
    )

    @field_validator("numerical_aperture")
    @classmethod
    def _fits_the_medium(cls, aperture: float, info: ValidationInfo) -> float:
        index = info.data.get("refractive_index", math.inf)
        if aperture >= index:
            raise ValueError(
                f"an aperture is smaller than refractive_index, here {index:g}; give the index "
                "of the immersion, such as 1.515 for oil"
            )
        return aperture


class Paths(Settings):
    """Folders of the service; relative ones are relative to the rig file, `~` is refused."""

    state: SettingsPath = Field(description="Spool: inbox, accepted runs, frames.")
    output: SettingsPath = Field(
        description="Where finished results appear, by one rename. Neither folder lies within the "
        "other, wherever symbolic links lead; the spool may be in a hidden folder (`.…`) of this "
        "one, which consumers leave alone."
    )

    @field_validator("state", "output")
    @classmethod
    def _names_a_folder(cls, folder: Path) -> Path:
        if folder == Path():
            raise ValueError("name a folder")
        return folder

    @field_validator("output")
    @classmethod
    def _apart_from_the_spool(cls, output: Path, info: ValidationInfo) -> Path:
        state = info.data.get("state")
        if state is None:
            return output
        said = entangled(state, output, (info.context or {}).get(GROUND, Ground()))
        if said is not None:
            raise ValueError(said)
        return output


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
    breathing_per_mm: Breathing = Field(
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

    name: Name = Field(description="Name of the rig.")
    camera: Camera
    optics: Optics
    focus: Focus
    paths: Paths
    frames: Frames = Frames()
    simulation: Simulation = Simulation()
    service: Service = Service()
    api: Api = Api()

    @field_validator("focus")
    @classmethod
    def _has_an_image_to_look_at(cls, focus: Focus, info: ValidationInfo) -> Focus:
        if focus.settle_ms == "auto" and isinstance(info.data.get("camera"), FolderCamera):
            raise ValueError("settle_ms auto needs a camera; images of a folder are always still")
        return focus

    def relative_to(self, folder: Path) -> Self:
        """Return the rig with its relative paths taken from `folder`."""
        places = {"state": folder / self.paths.state, "output": folder / self.paths.output}
        return self.model_copy(
            update={
                "paths": self.paths.model_copy(update=places),
                "camera": self.camera.relative_to(folder),
                "api": self.api.relative_to(folder),
            }
        )
