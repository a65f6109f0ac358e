"""What an axis knows of its position: everything, or nothing that motion may be based on."""

from zstackd_drivers.axis import Reference


class Knowledge:
    """Position in controller units, the height that belongs to it, and why it is not known.

    `position` is None while unreferenced. `step` is the whole step last moved to; `engaged` tells
    that the screw bears in the approach direction. Guarded by its owner.
    """

    def __init__(self, origin_um: float, um_per_unit: float) -> None:
        self.origin_um = origin_um
        self.fault: str | None = None
        self.position: float | None = None
        self.step: int | None = None
        self.engaged = False
        self._um_per_unit = um_per_unit

    @property
    def reference(self) -> Reference:
        """Whether motion may be based on the position."""
        return Reference.UNREFERENCED if self.position is None else Reference.REFERENCED

    def height_um(self, position: float | None) -> float | None:
        """Return the height of a controller position, as far as the origin is right."""
        if position is None:
            return None
        return self.origin_um + self._um_per_unit * position + 0.0  # never -0

    def trust(self, origin_um: float, position: float) -> None:
        """Take the position as known, by homing or by an operator's word."""
        self.origin_um = origin_um
        self.fault = None
        self.stand(position)

    def lose(self, why: str) -> None:
        """Forget the position; the first reason stands until it is known again."""
        self.fault = self.fault or why
        self.position = None
        self.leave()

    def leave(self) -> None:
        """Note that motion begins: no step is stood upon."""
        self.step, self.engaged = None, False

    def arrive(self, position: float, step: int) -> None:
        """Note that motion ended on `step`, in the approach direction."""
        self.position, self.step, self.engaged = position, step, True

    def stand(self, position: float) -> None:
        """Note where the motor came to rest, though not in the approach direction."""
        self.position = position
        self.leave()
