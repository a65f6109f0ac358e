"""Where the controller is: one named port, or the one USB serial port that answers rightly."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NamedPort:
    """The port that the rig names."""

    path: str

    def find(self) -> str:
        """Return the device path as it is written in the rig."""
        return self.path
