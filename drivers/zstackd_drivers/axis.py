"""What every focus axis can do, whatever controller drives it."""

from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Literal, Protocol, Self


class Reference(Enum):
    """Whether the reported position can be trusted for motion."""

    UNREFERENCED = "unreferenced"
    REFERENCED = "referenced"


@dataclass(frozen=True, slots=True)
class AxisSnapshot:
    """The axis at one moment; `position_um` is None where nothing was reported yet.

    At rest after a move it is the height of the motor step, otherwise what was reported last.
    """

    reference: Reference
    position_um: float | None
    moving: bool
    fault: str | None


@dataclass(frozen=True, slots=True)
class MoveReport:
    """One finished move: what was asked, what the controller reports, how it came there.

    `z_um` is where the axis stands by all that is known: on a whole motor step, which the report
    tells where it is fine enough, and confirms where it is not.
    """

    commanded_um: float
    reported_um: float
    z_um: float
    approach: Literal["up", "down"]
    motion_s: float


class FocusAxis(Protocol):
    """A focus axis in micrometres.

    Constructors only store; `__enter__` opens the port and proves the firmware's identity.
    Every method raises a `HardwareError` of `zstackd_drivers.errors`; none hangs.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    @property
    def step_um(self) -> float:
        """Micrometres of one motor step, the least that the axis can move."""
        ...

    @property
    def cannot_home(self) -> str | None:
        """Why homing is not possible, and what to do; None where it is."""
        ...

    def snapshot(self) -> AxisSnapshot:
        """Return state and position; safe from any thread, never waits for the link."""
        ...

    def identity(self) -> str:
        """Return the firmware's own words on what it is."""
        ...

    def home(self) -> None:
        """Run the homing cycle; afterwards the axis is referenced."""
        ...

    def confirm(self, position_um: float) -> None:
        """Take an operator's word that the axis stands at `position_um`.

        Raises LimitError far beyond the limits.
        """
        ...

    def move_to(self, z_um: float) -> MoveReport:
        """Move to an absolute height from the approach side; blocks until at rest.

        Raises LimitError before any motion where `z_um` or the overshoot leaves the limits,
        UnreferencedError where the position is not known, Interrupted after `stop()`.
        """
        ...

    def stop(self) -> None:
        """Stop the motor now, from any thread; a waiting `move_to` raises Interrupted."""
        ...

    def move_duration_s(self, from_um: float, to_um: float) -> float:
        """Return the seconds of `move_to(to_um)` from rest at `from_um`, overshoot included."""
        ...
