"""What can go wrong with hardware; all are `HardwareError`s (exit status 3).

HardwareError (zstackd_config.errors)
├── LinkError            port missing, busy, unplugged, or silent
├── WrongDeviceError     something answers, but not the firmware that was configured
├── UnreferencedError    motion asked for while the position is unknown
├── LimitError           motion asked for beyond the limits
├── MotionError          alarm, stall, or the axis came to rest elsewhere
├── CameraError          the camera is missing, or refuses a setting
└── CameraTimeout        no fresh, locked frame in time
"""

from zstackd_config.errors import HardwareError


class LinkError(HardwareError):
    """The port is missing, busy, unplugged, or silent."""


class WrongDeviceError(HardwareError):
    """Something answers, but it is not the firmware that was configured."""


class UnreferencedError(HardwareError):
    """Motion was asked for while the position is unknown."""


class LimitError(HardwareError):
    """Motion was asked for beyond the limits."""


class MotionError(HardwareError):
    """An alarm, a stall, or the axis came to rest elsewhere."""


class CameraError(HardwareError):
    """The camera is missing or refuses a setting."""


class CameraTimeout(HardwareError):
    """No fresh, locked frame came in time."""
