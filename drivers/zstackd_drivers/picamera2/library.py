"""What we use of picamera2, and how it is found; nothing here imports it before it is needed.

The names and the meanings are picamera2's (0.3.38, its picamera2.py, request.py and job.py).
"""

import importlib
import io
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zstackd_drivers.errors import CameraError

PACKAGES = "python3-libcamera python3-kms++ libcap-dev"


class Request(Protocol):
    """A completed request: one frame in its buffers, lent until `release()`."""

    def get_metadata(self) -> dict[str, Any]:
        """Return the metadata of this very frame."""
        ...

    def make_array(self, name: str) -> NDArray[np.uint8]:
        """Return a copy of a stream's pixels."""
        ...

    def save_dng(self, file_output: io.BytesIO) -> None:
        """Write the raw stream as DNG."""
        ...

    def release(self) -> None:
        """Give the buffers back; a second call raises."""
        ...


class Job(Protocol):
    """A request for a request."""

    def get_result(self, timeout: float | None = None) -> Request:
        """Return the result; raises TimeoutError, or CancelledError where it was cancelled."""
        ...


class Camera(Protocol):
    """An open `Picamera2`."""

    @property
    def camera_controls(self) -> dict[str, tuple[Any, Any, Any]]:
        """Return minimum, maximum and default of every control that is advertised."""
        ...

    @property
    def camera_properties(self) -> dict[str, Any]:
        """Return what the sensor tells of itself."""
        ...

    @property
    def sensor_resolution(self) -> tuple[int, int]:
        """Return width and height of the whole sensor in pixels."""
        ...

    def create_still_configuration(self, **options: Any) -> dict[str, Any]:
        """Return a configuration, sizes already even."""
        ...

    def configure(self, configuration: dict[str, Any]) -> None:
        """Configure the camera; what could not be had is adjusted silently."""
        ...

    def camera_configuration(self) -> dict[str, Any]:
        """Return the configuration as it really is."""
        ...

    def start(self) -> None:
        """Start the event loop and the camera."""
        ...

    def stop(self) -> None:
        """Stop the camera; waits, maybe for ever, for the jobs before it."""
        ...

    def close(self) -> None:
        """Stop, and give the camera back."""
        ...

    def set_controls(self, controls: dict[str, Any]) -> None:
        """Send controls with the next request that is queued."""
        ...

    def capture_request(self, *, wait: bool, flush: int | None) -> Job:
        """Queue a job for the next frame, with `flush` for one exposed from then on."""
        ...

    def cancel_all_and_flush(self) -> None:
        """Cancel and forget all jobs."""
        ...


class Library(Protocol):
    """The class `picamera2.Picamera2`."""

    def global_camera_info(self) -> list[dict[str, Any]]:
        """Return a dictionary for each camera attached."""
        ...

    def __call__(self, camera_num: int = 0, *, tuning: str | None = None) -> Camera:
        """Open a camera."""
        ...


def load_library() -> Library:
    """Import picamera2; CameraError says what to install where that fails."""
    try:
        library: Library = importlib.import_module("picamera2").Picamera2
    except ImportError as error:
        raise CameraError(_missing(error)) from error
    except ValueError as error:
        raise CameraError(_clash(error)) from error
    return library


def _missing(error: ImportError) -> str:
    if error.name == "picamera2":
        return (
            "picamera2 is not installed here: `sudo make install` brings it; for an environment of "
            f"your own run `sudo apt install {PACKAGES} build-essential`, then `pip install "
            "picamera2` in one made with --system-site-packages"
        )
    if error.name in {"libcamera", "pykms", "kms"}:
        return (
            f"picamera2 needs the system's {error.name}, which this Python does not see: run "
            f"`sudo apt install {PACKAGES}`, and make the virtual environment with "
            "--system-site-packages and the system's python3"
        )
    return (
        f"picamera2 cannot be imported ({error}); run `sudo make install` again, or `pip install "
        "--force-reinstall picamera2` in the environment of your own"
    )


def _clash(error: ValueError) -> str:
    """Return what to do where a compiled package was built against another NumPy."""
    if "numpy.dtype size changed" not in str(error):
        return f"picamera2 cannot be imported ({error}); reinstall it"
    return (
        "picamera2 cannot be imported: the system's simplejpeg was built against another NumPy "
        "(numpy.dtype size changed); run `pip install --force-reinstall simplejpeg picamera2` in "
        "the virtual environment, so that both come from there"
    )
