"""The root of every error zstackd raises on purpose.

    ZstackdError            one line for a person: what, where, value with unit, bound, what to do
    ├── ConfigError         a rig or run file is invalid; carries every problem found   (exit 2)
    ├── InputError          a file, folder or option named by the user cannot be used   (exit 2)
    ├── StackError          frames were readable but could not become a stack           (exit 1)
    ├── StorageError        the state or output folder cannot take the result           (exit 1)
    ├── HardwareError       camera, focus axis or their link failed                     (exit 3)
    │   (drivers derive their own kinds from it, one level deep)
    └── Interrupted         stopped by a signal or by the operator                      (exit 130)

The message is the interface: it is printed as it stands, without a traceback.
"""

from collections.abc import Sequence
from typing import ClassVar


class ZstackdError(Exception):
    """Root of the tree; `exit_status` is what the command line ends with."""

    exit_status: ClassVar[int] = 1


class ConfigError(ZstackdError):
    """A rig or run file is invalid; `problems` holds one line for each thing that is wrong."""

    exit_status = 2

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class InputError(ZstackdError):
    """A file, folder or option named by the user cannot be used."""

    exit_status = 2


class StackError(ZstackdError):
    """Frames were readable but could not become a stack."""


class StorageError(ZstackdError):
    """The state or output folder cannot take what has to be written."""


class HardwareError(ZstackdError):
    """Camera, focus axis or the link to them failed.

    `is_fault`: whether a device is to blame, which must then be opened again.
    """

    exit_status = 3
    is_fault: ClassVar[bool] = True


class Interrupted(ZstackdError):
    """Stopped by a signal or by the operator."""

    exit_status = 130
