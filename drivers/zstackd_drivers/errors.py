"""What can go wrong with hardware; all are `HardwareError`s (exit status 3).

HardwareError (zstackd_config.errors)
├── LinkError            port missing, busy, unplugged, or silent
├── WrongDeviceError     something answers, but not the firmware that was configured
├── UnreferencedError    motion asked for while the position is unknown
├── LimitError           motion asked for beyond the limits
├── NoHomingError        homing asked of an axis that has none
├── MotionError          alarm, stall, or the axis came to rest elsewhere
├── CameraError          the camera is missing, or refuses a setting
└── CameraTimeout        no fresh, locked frame in time
    └── CameraStalled    not a single frame came
        └── CameraHung   nor after the camera was opened anew: only a new process may help
"""

from zstackd_config.errors import HardwareError


class LinkError(HardwareError):
    """The port is missing, busy, unplugged, or silent."""


class WrongDeviceError(HardwareError):
    """Something answers, but it is not the firmware that was configured."""


class UnreferencedError(HardwareError):
    """Motion was asked for while the position is unknown."""

    is_fault = False


class LimitError(HardwareError):
    """Motion was asked for beyond the limits."""

    is_fault = False


class NoHomingError(HardwareError):
    """Homing was asked of an axis that has none."""

    is_fault = False


class MotionError(HardwareError):
    """An alarm, a stall, or the axis came to rest elsewhere."""


class CameraError(HardwareError):
    """The camera is missing or refuses a setting."""


class CameraTimeout(HardwareError):
    """No fresh, locked frame came in time."""


class CameraStalled(CameraTimeout):
    """The camera delivers nothing at all; opening it anew may help."""


class CameraHung(CameraStalled):
    """The camera delivers nothing, or does not answer, even when opened anew.

    Only a new process may help: the service ends with a non-zero status and is started again.
    """
