"""A camera that replays the images of a folder, one per plane."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import zstackd_config.rig as settings_of
from zstackd_config.errors import Interrupted
from zstackd_config.run import LockedAutoExposure, ManualExposure
from zstackd_drivers.camera import CameraInfo, ExposureValues, Frame, Image, ignore
from zstackd_drivers.capture.preview import preview_of
from zstackd_drivers.errors import CameraError
from zstackd_drivers.image_file import ImageFileError, read_image, read_size_px

NAME = "folder camera"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})
UNKNOWN_EXPOSURE = ExposureValues(exposure_time_ms=0.0, analogue_gain=1.0, colour_gains=None)


class FolderCamera:
    """Delivers the files of a folder in natural order, one per capture.

    `lock_exposure` rewinds to the first file; exposure values are not known and reported as 0 ms.
    Timestamps are the moment of delivery, or just after `after_ns` where that is later.
    """

    def __init__(self, *, settings: settings_of.FolderCamera) -> None:
        self._settings = settings
        self._cancelled = threading.Event()
        self._files: list[Path] = []
        self._next = 0
        self._info: CameraInfo | None = None

    def __enter__(self) -> Self:
        self._cancelled.clear()
        self._files = _image_files(self._settings.path)
        self._next = 0
        self._info = self._checked_info()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._info = None

    def info(self) -> CameraInfo:
        """Return the size, channels and bits of the files."""
        if self._info is None:
            raise CameraError(f"{NAME}: it is not open; open it before taking frames")
        return self._info

    def frame_count(self) -> int:
        """Return how many files the open folder holds."""
        return len(self._files)

    def lock_exposure(self, exposure: LockedAutoExposure | ManualExposure) -> ExposureValues:  # noqa: ARG002
        """Rewind to the first file; the exposure was decided when the files were made."""
        self._next = 0
        return UNKNOWN_EXPOSURE

    def capture(self, *, after_ns: int, exposed: Callable[[], None] = ignore) -> Frame:
        """Return the next file; raises CameraError where it cannot be read or none is left."""
        if self._cancelled.is_set():
            raise Interrupted(f"{NAME}: cancelled")
        info = self.info()
        if self._next >= len(self._files):
            raise CameraError(
                f"{NAME}: plane {self._next + 1} is asked for, but {self._settings.path} holds "
                f"{len(self._files)} images; ask for at most as many planes"
            )
        exposed()
        path = self._files[self._next]
        image = _read(path)
        if _kind(image) != (info.size_px, info.channels, info.bits):
            raise CameraError(f"{NAME}: {path} changed since the folder was opened; open it again")
        self._next += 1
        return Frame(
            image=image,
            sensor_timestamp_ns=max(time.monotonic_ns(), after_ns + 1),
            exposure=UNKNOWN_EXPOSURE,
            extra={"file": path.name},
        )

    def preview(self, *, after_ns: int) -> Frame:
        """Return the next file, small and grey, and leave it the next one."""
        frame = self.capture(after_ns=after_ns)
        self._next -= 1
        return replace(frame, image=preview_of(frame.image))

    def frame_duration_s(self) -> float:
        """Return 0: files do not have to be waited for."""
        return 0.0

    def cancel(self) -> None:
        """Make all later captures until reopened raise Interrupted."""
        self._cancelled.set()

    def _checked_info(self) -> CameraInfo:
        """Read the first file wholly and the size of every other."""
        first = self._files[0]
        size_px, channels, bits = _kind(_read(first))
        if self._settings.size_px not in (None, size_px):
            raise CameraError(
                f"{NAME}: {first} has {_words(size_px)}, but camera.size_px says "
                f"{_words(self._settings.size_px)}; correct one of them"
            )
        for path in self._files[1:]:
            if (other := _read_size_px(path)) != size_px:
                raise CameraError(
                    f"{NAME}: {path} has {_words(other)}, but {first.name} has "
                    f"{_words(size_px)}; keep only images of one size in the folder"
                )
        model = f"{len(self._files)} images in {self._settings.path}"
        return CameraInfo(
            driver="folder", model=model, size_px=size_px, channels=channels, bits=bits
        )


def _image_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise CameraError(f"{NAME}: camera.path {folder} is not a folder; name an existing one")
    try:
        found = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        ]
    except OSError as error:
        raise CameraError(f"{NAME}: {folder}: {error.strerror}; check its permissions") from error
    if not found:
        raise CameraError(f"{NAME}: {folder} holds no image; put .jpg, .png or .tif files there")
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Return a key under which z2 comes before z10."""
    parts = re.findall(r"\d+|\D+", path.name.lower())
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts] + [(-1, 0, path.name)]


def _kind(image: Image) -> tuple[tuple[int, int], int, int]:
    height, width = image.shape[:2]
    return (width, height), 1 if image.ndim == 2 else 3, image.dtype.itemsize * 8  # noqa: PLR2004


def _words(size_px: tuple[int, int] | None) -> str:
    return "no size" if size_px is None else f"{size_px[0]} x {size_px[1]} px"


def _read(path: Path) -> Image:
    try:
        return read_image(path)
    except ImageFileError as error:
        raise CameraError(f"{NAME}: {path}: {error}; remove or replace the file") from error


def _read_size_px(path: Path) -> tuple[int, int]:
    try:
        return read_size_px(path)
    except ImageFileError as error:
        raise CameraError(f"{NAME}: {path}: {error}; remove or replace the file") from error
