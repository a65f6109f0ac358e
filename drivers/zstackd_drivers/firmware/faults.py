"""Scripted faults of a firmware twin: what goes wrong, and when."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto


class Action(Enum):
    """What goes wrong.

    LOSE_REPLY and DOUBLE_REPLY, NOISE (bytes of no meaning), SPLIT and MERGE (lines in single
    bytes, or all at once) spoil what the controller sends next; GARBLE turns a bit of what it
    hears next; EEPROM makes it deaf for 0.3 s of rig time; SILENCE mutes it for good. REPLUG
    brings the port back at once, under another name. STALL and ALARM strike in mid-motion: due
    between two motions, they wait for the next.
    """

    RESET = auto()
    ALARM = auto()
    STALL = auto()
    UNPLUG = auto()
    REPLUG = auto()
    SILENCE = auto()
    LOSE_REPLY = auto()
    DOUBLE_REPLY = auto()
    NOISE = auto()
    SPLIT = auto()
    MERGE = auto()
    EEPROM = auto()
    GARBLE = auto()


REPLY_ACTIONS = {Action.LOSE_REPLY, Action.DOUBLE_REPLY}
MOTION_ACTIONS = {Action.ALARM, Action.STALL}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, triggered once: by the n-th motion (from 1) or by a line that begins so.

    `delay_s` is rig time between the trigger and the fault; `noise` is what NOISE sends.
    """

    action: Action
    on_motion: int | None = None
    on_line: str | None = None
    delay_s: float = 0.0
    noise: bytes = b"\xff\x00\xfe~<Id"

    def counted_from(self, motions: int) -> "Fault":
        """Return the same fault with its motion counted after `motions` earlier ones."""
        if self.on_motion is None:
            return self
        return replace(self, on_motion=self.on_motion + motions)


class Script:
    """Faults still to come."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._waiting = list(faults)
        self._due: list[tuple[int, Fault]] = []
        self._held: list[tuple[int, Fault]] = []

    def add(self, fault: Fault) -> None:
        """Let `fault` wait for its trigger."""
        self._waiting.append(fault)

    def see(self, *, motions: int, lines: Sequence[str], now_ns: int) -> None:
        """Notice what the controller took in since the last call."""
        for fault in list(self._waiting):
            by_motion = fault.on_motion is not None and motions >= fault.on_motion
            prefix = fault.on_line
            by_line = prefix is not None and any(line.startswith(prefix) for line in lines)
            if by_motion or by_line:
                self._waiting.remove(fault)
                self._due.append((now_ns + round(fault.delay_s * 1e9), fault))

    def take_due(self, now_ns: int, *, moving: bool) -> list[Fault]:
        """Return the faults whose time has come, in order; some come only while it is `moving`."""
        due = self._held + sorted((e for e in self._due if e[0] <= now_ns), key=lambda e: e[0])
        self._due = [entry for entry in self._due if entry[0] > now_ns]
        self._held = [e for e in due if e[1].action in MOTION_ACTIONS and not moving]
        return [entry[1] for entry in due if entry not in self._held]

    def next_ns(self) -> int | None:
        """Return the rig time of the next fault already triggered, but for those held back."""
        return min((at for at, _ in self._due), default=None)
