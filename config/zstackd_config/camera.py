"""`camera` of a rig: which driver takes the frames, and what it needs to know."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator

from zstackd_config.base import Settings, SettingsPath

SidePx = Annotated[int, Field(ge=16, le=16384)]
SizePx = tuple[SidePx, SidePx]


class CameraSettings(Settings):
    """What every camera's settings can do."""

    def relative_to(self, folder: Path) -> Self:  # noqa: ARG002 - not every camera names a path
        """Return the settings with their relative paths taken from `folder`."""
        return self


class SimulatedCamera(CameraSettings):
    """A camera twin that images a built-in specimen at the focus axis' true position."""

    driver: Literal["simulated"]
    size_px: SizePx = Field((2048, 1536), description="Frame width and height, in pixels.")


class FolderCamera(CameraSettings):
    """A camera that replays the images of a folder, one per plane, in natural order."""

    driver: Literal["folder"]
    path: SettingsPath = Field(description="Folder of images; relative to the rig file.")
    size_px: SizePx | None = Field(
        None, description="Expected width and height, in pixels; any size if absent."
    )

    def relative_to(self, folder: Path) -> Self:
        """Return the settings with the folder of images taken from `folder`."""
        return self.model_copy(update={"path": folder / self.path})


class SensorMode(Settings):
    """Readout mode of the sensor, out of those that `rpicam-hello --list-cameras` lists."""

    size_px: SizePx = Field(description="Width and height that the sensor reads out, in pixels.")
    bits: Literal[8, 10, 12, 14, 16] = Field(description="Bits per pixel that it reads out.")


class Picamera2Camera(CameraSettings):
    """A Raspberry Pi camera by way of picamera2; 8-bit frames, optionally with raw DNG files."""

    driver: Literal["picamera2"]
    index: Annotated[int, Field(ge=0, le=15)] = Field(
        0, description="Number of the camera, from 0, as `rpicam-hello --list-cameras` counts."
    )
    size_px: SizePx = Field(
        description="Frame width and height, in pixels; the library may align it to what it can do."
    )
    sensor_mode: SensorMode | None = Field(
        None, description="Readout mode of the sensor; absent: the library's choice for the size."
    )
    tuning_file: SettingsPath | None = Field(
        None,
        description="libcamera's tuning file (JSON) for sensor and lens; relative to the rig "
        "file; absent: the sensor's own.",
    )
    mono: bool = Field(False, description="Frames of one channel; for sensors without colour.")
    keep_dng: bool = Field(
        False,
        description="Keep the raw data of each plane as a DNG file beside its frame; takes some "
        "2 bytes per pixel of the sensor.",
    )

    def relative_to(self, folder: Path) -> Self:
        """Return the settings with the tuning file taken from `folder`."""
        if self.tuning_file is None:
            return self
        return self.model_copy(update={"tuning_file": folder / self.tuning_file})


class UvcCamera(CameraSettings):
    """A USB microscope or webcam by way of Video4Linux."""

    driver: Literal["uvc"]
    device: Path = Field(
        description="Device path; best one that survives replugging: /dev/v4l/by-id/….",
    )
    size_px: SizePx = Field(description="Frame width and height, in pixels; one the device offers.")
    fourcc: Literal["MJPG", "YUYV", "NV12", "GREY"] = Field(
        "MJPG",
        description="Pixel format asked of the device; MJPG is compressed by it, the others are "
        "not, and slower over USB 2.",
    )
    mono: bool = Field(False, description="Frames of one channel.")
    lens_focus: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        None,
        description="Fixed setting of the camera's own focus motor, in the device's units (no "
        "unit); its autofocus is switched off either way.",
    )

    @field_validator("device")
    @classmethod
    def _is_absolute(cls, device: Path) -> Path:
        if not device.is_absolute():
            raise ValueError("a device path begins with /dev/; ls /dev/v4l/by-id lists them")
        return device


Camera = Annotated[
    SimulatedCamera | FolderCamera | Picamera2Camera | UvcCamera, Field(discriminator="driver")
]
