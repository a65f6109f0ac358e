"""The requests of the picamera2 twin: buffers with stride, metadata, release exactly once."""

import io
from typing import Any, Protocol

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from zstackd_drivers.capture.preview import luminance
from zstackd_drivers.simulated.sensor_twin import LentFrame

STRIDE_BYTES = 64
GREY_CHROMA = 128
RAW_SCALE = 16
KNOWN_FORMATS = frozenset({"RGB888", "BGR888", "YUV420"})
BYTES_PER_PX = {"RGB888": 3, "BGR888": 3, "YUV420": 1}

Array = NDArray[np.uint8]


class Owner(Protocol):
    """The open camera that a request goes back to."""

    @property
    def attached(self) -> Any:
        """Return what is on the cable."""
        ...

    def send_controls(self) -> None:
        """Send the controls that wait, since a request is queued again."""
        ...


class RequestTwin:
    """Stands for a `CompletedRequest`."""

    def __init__(self, owner: Owner, lent: LentFrame, streams: dict[str, Any]) -> None:
        self._owner = owner
        self._lent: LentFrame | None = lent
        self._streams = streams

    def get_metadata(self) -> dict[str, Any]:
        """Return the metadata; a camera that is no module tells its timestamp and no more."""
        lent = self._frame()
        exposure_us = round(lent.exposure.exposure_time_ms * 1000)
        metadata: dict[str, Any] = {
            "SensorTimestamp": lent.sensor_timestamp_ns + 1000 * exposure_us
        }
        if not self._owner.attached.module:
            return metadata
        metadata |= {
            "ExposureTime": exposure_us,
            "AnalogueGain": lent.exposure.analogue_gain,
            "DigitalGain": 1.0,
            "SensorTemperature": 41.0,
            "FrameDuration": max(exposure_us + 300, 4_000),
        }
        if not self._owner.attached.mono:
            metadata["ColourGains"] = lent.exposure.colour_gains
        return metadata

    def make_array(self, name: str) -> Array:
        """Return a copy of a stream's pixels, as the library shapes them."""
        stream = self._streams.get(name)
        if stream is None:
            raise RuntimeError(f"Stream {name!r} is not defined")
        image = np.asarray(self._frame().image(), np.uint8)
        if self._owner.attached.mono:
            image = np.asarray(cv2.cvtColor(luminance(image), cv2.COLOR_GRAY2BGR), np.uint8)
        if stream["format"] == "YUV420":
            return _yuv(image, stream)
        return image if stream["format"] == "RGB888" else np.ascontiguousarray(image[..., ::-1])

    def save_dng(self, file_output: io.BytesIO) -> None:
        """Write a TIFF of one raw channel, as a DNG is one."""
        if self._streams.get("raw") is None:
            raise RuntimeError("Stream 'raw' is not defined")
        grey = luminance(self._frame().image())
        tifffile.imwrite(file_output, grey.astype(np.uint16) * RAW_SCALE)

    def release(self) -> None:
        """Queue the request again; a second call raises, as the library does."""
        self._frame().release()
        self._lent = None
        self._owner.send_controls()

    def _frame(self) -> LentFrame:
        if self._lent is None:
            raise RuntimeError("CompletedRequest: lock now has negative ref_count")
        return self._lent


def stream_configuration(wanted: dict[str, Any] | None, *, raw: bool) -> dict[str, Any] | None:
    """Return a stream as libcamera makes it: a format it knows, rows of whole strides."""
    if wanted is None:
        return None
    width, height = wanted["size"]
    name = wanted["format"] if raw or wanted["format"] in KNOWN_FORMATS else "RGB888"
    row_bytes = width * BYTES_PER_PX.get(name, 2)
    stride = STRIDE_BYTES * -(-row_bytes // STRIDE_BYTES)
    return {"format": name, "size": (width, height), "stride": stride}


def _yuv(image: Array, stream: dict[str, Any]) -> Array:
    """Return (3 h / 2, stride) with the brightness on top and grey colour planes below."""
    width, height = stream["size"]
    array = np.full((height * 3 // 2, stride_of(stream)), GREY_CHROMA, np.uint8)
    small = cv2.resize(luminance(image), (width, height), interpolation=cv2.INTER_AREA)
    array[:height, :width] = small
    return array


def stride_of(stream: dict[str, Any]) -> int:
    """Return the bytes from one row of a stream to the next."""
    return int(stream["stride"])
