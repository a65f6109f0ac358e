"""Where a simulated axis truly stands; what the camera twin looks at."""

from typing import Protocol


class TrueFocus(Protocol):
    """The specimen side of a simulated focus axis; every method is safe from any thread."""

    def true_position_um(self, at_ns: int | None = None) -> float:
        """Return the true height in micrometres at rig time `at_ns` (now where absent)."""
        ...

    def last_motion_end_ns(self) -> int | None:
        """Return the rig time at which motion last ended; None where nothing moved yet.

        While the axis moves this is the present moment.
        """
        ...
