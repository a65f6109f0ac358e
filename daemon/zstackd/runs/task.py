"""One run as the service, or the command line, hands it to the code that does it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from zstackd.runs.gate import Gate
from zstackd.runs.halt import Halt
from zstackd.runs.manifest import Manifest
from zstackd.runs.past import Past
from zstackd.runs.progress import Tell, nobody
from zstackd.runs.publish import Publisher
from zstackd.runs.pulse import Pulses
from zstackd.store.journal import Journal
from zstackd.store.spool import RunFolder
from zstackd_config.rig import Rig


class Published(NamedTuple):
    """Where the result appeared, and its manifest."""

    folder: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Task:
    """A run, its journal while it is open, and everything that stops, pauses or watches it."""

    rig: Rig
    folder: RunFolder
    journal: Journal
    publisher: Publisher
    halt: Halt
    past: Past = field(default_factory=Past)
    tell: Tell = nobody
    gates: Sequence[Gate] = ()
    pulses: Pulses = field(default_factory=Pulses)

    @property
    def reserve_bytes(self) -> int:
        """Return what must stay free on every file system."""
        return round(self.rig.service.reserve_mb * 1e6)
