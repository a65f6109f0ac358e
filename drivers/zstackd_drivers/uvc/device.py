"""From a device path to an open capture that delivers what was asked for, or a reason why not."""

import os
import re
from pathlib import Path

import cv2

import zstackd_config.camera as settings_of
from zstackd_drivers.errors import CameraError
from zstackd_drivers.uvc.reader import VideoCapture

VIDEO_DEVICE = re.compile(r"/dev/video(\d+)")
V4L_TIMEOUT_S = "2"
"""How long OpenCV waits for one frame; its own 10 s would make closing a stalled camera as long."""


def video_index(device: Path) -> int:
    """Return N of the /dev/videoN that a path leads to; CameraError where it leads nowhere."""
    if not device.exists():
        raise CameraError(
            f"uvc: camera.device {device} does not exist; plug the camera in, and see `ls "
            "/dev/v4l/by-id` for its name"
        )
    found = VIDEO_DEVICE.fullmatch(str(device.resolve()))
    if found is None:
        raise CameraError(
            f"uvc: camera.device {device} is no video device; name one of /dev/v4l/by-id"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        raise CameraError(
            f"uvc: no permission to open {device}; add this user to the group video (`sudo usermod "
            "-aG video USER`) and log in anew"
        )
    return int(found[1])


def open_v4l(index: int) -> VideoCapture:
    """Open /dev/videoN with OpenCV's Video4Linux backend."""
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", V4L_TIMEOUT_S)
    return cv2.VideoCapture(index, cv2.CAP_V4L2)


def configure(capture: VideoCapture, settings: settings_of.UvcCamera) -> None:
    """Set pixel format and size; CameraError where the camera takes others.

    The format comes first, since the sizes that are offered depend on it.
    """
    if not capture.isOpened():
        raise CameraError(
            f"uvc: {settings.device} cannot be opened: another process may use it, or it is not "
            "the camera's first video device; try the name that ends in -video-index0"
        )
    capture.set(cv2.CAP_PROP_FOURCC, fourcc(settings.fourcc))
    for name, side_px in zip(SIDES, settings.size_px, strict=True):
        capture.set(name, side_px)
    given = words(round(capture.get(cv2.CAP_PROP_FOURCC)))
    if given != settings.fourcc:
        raise CameraError(
            f"uvc: {settings.device} delivers {given} where camera.fourcc {settings.fourcc} is "
            "asked for; choose one that `v4l2-ctl --list-formats-ext` lists"
        )
    width, height = (round(capture.get(name)) for name in SIDES)
    if (width, height) != tuple(settings.size_px):
        asked = settings.size_px
        raise CameraError(
            f"uvc: {settings.device} delivers {width} x {height} px where camera.size_px "
            f"{asked[0]} x {asked[1]} px is asked for; choose a size that `v4l2-ctl "
            "--list-formats-ext` lists"
        )


SIDES = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)


def fourcc(name: str) -> int:
    """Return the number of a four-character code."""
    return int.from_bytes(name.encode("ascii"), "little")


def words(number: int) -> str:
    """Return the four-character code of a number, as far as it can be read."""
    data = (number & 0xFFFFFFFF).to_bytes(4, "little")
    return "".join(chr(byte) if chr(byte).isprintable() else "?" for byte in data)
