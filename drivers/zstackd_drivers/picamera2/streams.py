"""The one configuration of a picamera2 camera, and the streams that came of it."""

import logging
from typing import Any

import zstackd_config.camera as settings_of
from zstackd_drivers.capture.preview import preview_size_px
from zstackd_drivers.picamera2.library import Camera
from zstackd_drivers.picamera2.source import AUTO_LONGEST_US, Streams

_log = logging.getLogger(__name__)

BUFFERS = 3


def still_configuration(camera: Camera, settings: settings_of.Picamera2Camera) -> None:
    """Configure main, lores and raw streams; without lores where the camera has none.

    Raises RuntimeError where the camera takes neither.
    """
    options = _options(camera, settings)
    try:
        camera.configure(camera.create_still_configuration(**options))
    except RuntimeError as error:
        _log.info("picamera2: no lores stream (%s); previews come from the main stream", error)
        options["lores"] = None
        camera.configure(camera.create_still_configuration(**options))
    size_px = camera.camera_configuration()["main"]["size"]
    if tuple(size_px) != tuple(settings.size_px):
        _log.warning(
            "picamera2: camera.size_px %d x %d was aligned to %d x %d px",
            *settings.size_px,
            *size_px,
        )


def streams_of(camera: Camera, *, mono: bool) -> Streams:
    """Return the streams as they are; grey where asked for, or where the sensor has no colours."""
    configuration = camera.camera_configuration()
    module = "ColorFilterArrangement" in camera.camera_properties
    return Streams(
        main=configuration["main"],
        lores=configuration.get("lores"),
        raw=configuration.get("raw"),
        mono=mono or (module and "ColourGains" not in camera.camera_controls),
    )


def _options(camera: Camera, settings: settings_of.Picamera2Camera) -> dict[str, Any]:
    """Return the arguments of `create_still_configuration`.

    Without a cap on the frame's duration a still configuration lets the automatic exposure take
    minutes; without `queue` no frame of the past waits to be handed out.
    """
    options: dict[str, Any] = {
        "main": {"size": settings.size_px, "format": "RGB888"},
        "lores": {"size": preview_size_px(settings.size_px), "format": "YUV420"},
        "raw": {} if settings.keep_dng else None,
        "buffer_count": BUFFERS,
        "queue": False,
        "display": None,
        "encode": None,
        "controls": {},
    }
    if "FrameDurationLimits" in camera.camera_controls:
        options["controls"] = {"FrameDurationLimits": (100, AUTO_LONGEST_US)}
    if settings.sensor_mode is not None:
        mode = settings.sensor_mode
        options["sensor"] = {"output_size": mode.size_px, "bit_depth": mode.bits}
    return options
