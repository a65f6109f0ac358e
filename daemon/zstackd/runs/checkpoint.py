"""What happens between planes: stop, cancel, pause, and the look at the room that is left."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zstackd.runs.gate import Gate
from zstackd.runs.halt import Halt
from zstackd.runs.plan import Plan
from zstackd.runs.pulse import Pulse
from zstackd.store.journal import Journal
from zstackd.store.room import require_disk


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Passed before each plane; nothing moves and nothing is exposed meanwhile."""

    plan: Plan
    folder: Path
    journal: Journal
    halt: Halt
    gates: Sequence[Gate]
    pulse: Pulse
    reserve_bytes: int

    def passed(self, index: int) -> None:
        """Return when plane `index` may begin.

        Raises the halt's cause, Cancelled where somebody asked for it, and NoRoom where the
        planes from this one on would not fit on the disk.
        """
        self.halt.check_between()
        self._wait_at_gates(index)
        require_disk(
            self.folder,
            self.plan.bytes_from(index),
            what=f"plane {index} onwards",
            reserve_bytes=self.reserve_bytes,
        )

    def _wait_at_gates(self, index: int) -> None:
        shut = self._shut()
        if shut is None:
            return
        reason, of = shut
        self.journal.append("paused", reason=reason, of=of, plane=index)
        while self._shut() is not None:
            for gate in self.gates:
                gate.wait(self.halt, self.pulse.beat)
        self.halt.check_between()
        self.journal.append("resumed", plane=index)

    def _shut(self) -> tuple[str, str] | None:
        """Return why the first gate is shut, and what it holds up; None where all are open."""
        reasons = ((gate.reason, gate.of) for gate in self.gates)
        return next(((reason, of) for reason, of in reasons if reason is not None), None)
