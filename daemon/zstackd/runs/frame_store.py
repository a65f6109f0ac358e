"""The frames of one run on disk: written whole, hashed, and announced to who waits for them."""

import hashlib
import shutil
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zstackd.runs.halt import Halt
from zstackd.store.durable import make_folder, sha256_of, storage_error, write_bytes
from zstackd_config.errors import InputError
from zstackd_config.rig import Frames
from zstackd_drivers.axis import MoveReport
from zstackd_drivers.camera import ExposureValues, Frame
from zstackd_stacking import Image
from zstackd_stacking.files.images import read_image
from zstackd_stacking.files.output import write_image

_JPEG_BITS = 8


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """A frame as it came from the camera, and how the axis came to its plane."""

    index: int
    move: MoveReport
    frame: Frame


@dataclass(frozen=True, slots=True)
class RawFile:
    """The sensor's own data of one frame on disk."""

    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A frame on disk, with all that was known when it was taken; heights in micrometres.

    `z_um` is the height that everything measured in the frame counts from, see `MoveReport`.
    """

    index: int
    file: str
    bytes: int
    sha256: str
    commanded_um: float
    reported_um: float
    z_um: float
    approach: Literal["up", "down"]
    sensor_timestamp_ns: int
    exposure: ExposureValues
    extra: Mapping[str, Any]
    raw: RawFile | None = None


class FrameStore:
    """The frames folder of one run; one thread writes, another reads."""

    def __init__(
        self, folder: Path, settings: Frames, halt: Halt, *, pixel_size_um: float | None = None
    ) -> None:
        self.folder = folder
        self._settings = settings
        self._halt = halt
        self._pixel_size_um = pixel_size_um
        self._stored: dict[int, StoredFrame] = {}
        self._changed = threading.Condition()
        halt.listen(self._wake)

    def prepare(self, *, bits: int) -> None:
        """Make the folder; raises InputError where the format cannot hold the camera's bits."""
        if self._settings.format == "jpg" and bits > _JPEG_BITS:
            raise InputError(
                f"frames.format jpg holds {_JPEG_BITS} bits, the camera delivers {bits} bits; "
                "choose png or tif in the rig file"
            )
        make_folder(self.folder)
        for torn in self.folder.glob(".*.tmp"):
            torn.unlink(missing_ok=True)

    def write(self, captured: CapturedFrame) -> StoredFrame:
        """Write and hash one frame; it appears under its name only when whole and on the disk.

        The sensor's own data, where the camera keeps them, lie beside it as DNG.
        """
        name = f"z_{captured.index:04d}.{self._settings.format}"
        path = self.folder / name
        write_image(
            path,
            captured.frame.image,
            pixel_size_um=self._pixel_size_um,
            quality=self._settings.jpeg_quality,
        )
        raw = _write_raw(path.with_suffix(".dng"), captured.frame.raw)
        try:
            return _stored(captured, name, path.stat().st_size, sha256_of(path), raw)
        except OSError as error:
            raise storage_error(error, path) from error

    def announce(self, stored: StoredFrame) -> None:
        """Let `read` have this frame."""
        with self._changed:
            self._stored[stored.index] = stored
            self._changed.notify_all()

    def read(self, index: int) -> Image:
        """Return the pixels of frame `index`, waiting until it is stored.

        Raises the halt's cause where the run is stopped meanwhile.
        """
        with self._changed:
            self._changed.wait_for(lambda: index in self._stored or self._halt.event.is_set())
            self._halt.check()
            name = self._stored[index].file
        return read_image(self.folder / name)

    def z_um(self, index: int) -> float:
        """Return the height of a stored frame."""
        with self._changed:
            return self._stored[index].z_um

    def first_stored(self, indices: Sequence[int]) -> int:
        """Return the first of these frames that is stored, waiting until one is.

        Raises the halt's cause where the run is stopped meanwhile.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: any(i in self._stored for i in indices) or self._halt.event.is_set()
            )
            self._halt.check()
            return next(i for i in indices if i in self._stored)

    def stored(self) -> tuple[StoredFrame, ...]:
        """Return what has been announced so far, in order of planes."""
        with self._changed:
            return tuple(self._stored[index] for index in sorted(self._stored))

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def drop_frames(folder: Path) -> None:
    """Delete a run's frames and their folder; harmless where there are none."""
    try:
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
    except OSError as error:
        raise storage_error(error, folder) from error


def _write_raw(path: Path, data: bytes | None) -> RawFile | None:
    if data is None:
        return None
    write_bytes(path, data)
    return RawFile(path.name, len(data), hashlib.sha256(data).hexdigest())


def _stored(
    captured: CapturedFrame, name: str, size: int, digest: str, raw: RawFile | None
) -> StoredFrame:
    move, frame = captured.move, captured.frame
    return StoredFrame(
        index=captured.index,
        file=name,
        bytes=size,
        sha256=digest,
        commanded_um=move.commanded_um,
        reported_um=move.reported_um,
        z_um=move.z_um,
        approach=move.approach,
        sensor_timestamp_ns=frame.sensor_timestamp_ns,
        exposure=frame.exposure,
        extra=frame.extra,
        raw=raw,
    )
