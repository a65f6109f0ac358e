"""What anyone may ask of the running service: the one face that the control API stands on.

Every method is safe from any thread and, but for `look`, `lend` and what moves the axis, returns
soon.
The running service has it as `Service.control`. What cannot be done raises a `ZstackdError` of one
line:

    InputError          the document or argument is wrong
    ├── NoSuchRun       no run of that id is known
    ├── WrongState      the run, or the rig, is not in a state in which this can be done
    └── RigBusy         a run, another move or program has the rig (zstackd.service.lease)
    HardwareError       the rig is not ready, or failed
    StorageError        the spool cannot take it
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from zstackd.runs.autofocus import FoundFocus
from zstackd.runs.plan import Plan
from zstackd.service.events import Subscription
from zstackd.service.loan import Loan
from zstackd.service.series import SeriesSummary
from zstackd.service.viewfinder import Exposure, View
from zstackd.store.run_state import RunState, RunSummary
from zstackd_config.errors import InputError
from zstackd_config.rig import Rig
from zstackd_drivers.axis import AxisSnapshot
from zstackd_drivers.camera import CameraInfo


class NoSuchRun(InputError):
    """No run of that id is known."""


class WrongState(InputError):
    """The run, or the rig, is not in a state in which this can be done."""


@dataclass(frozen=True, slots=True)
class Space:
    """Room on the file system of one folder, in bytes; None where the folder is not there."""

    folder: Path
    free_bytes: int | None
    total_bytes: int | None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The service at one moment.

    `state` is one word for people and scripts: `starting`, `idle`, `running`, `paused`,
    `lent`, `degraded` (see `why`) or `stopping`. `why` is one line; None where there is nothing to
    say. `loan` tells who has borrowed the rig, whatever else goes on meanwhile.
    `queue` counts runs that wait; `counts` all runs in memory by state. `reserved_bytes` is what
    the run in work will still write.
    """

    state: str
    why: str | None
    rig: str
    version: str
    started_at: str
    current: RunSummary | None
    queue: int
    counts: dict[RunState, int]
    axis: AxisSnapshot | None
    camera: CameraInfo | None
    spool: Space
    output: Space
    reserved_bytes: int
    faults: int
    loan: Loan | None = None


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What other settings amount to.

    `changes` are the sections that changed; `note` says from when on they are in force, and what
    becomes of the axis' position.
    """

    changes: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a run file became: one run, or a series of runs; `warnings` are those of its plan."""

    run: RunSummary | None = None
    series: SeriesSummary | None = None
    warnings: tuple[str, ...] = ()


class Control(Protocol):
    """The service as its clients see it."""

    def submit(self, document: bytes, *, source: str) -> Accepted:
        """Accept a run file's text; `source` names the client in errors and in the journal.

        Returns once the run, or the series (where it repeats or has a time plan), is safe on the
        disk. Raises ConfigError or InputError with every
        problem found, StorageError where the spool cannot take it.
        """
        ...

    def check(self, document: bytes, *, source: str) -> Plan:
        """Judge a run file's text as `submit` would, and return its plan; nothing is kept."""
        ...

    def runs(
        self, *, states: Collection[RunState] | None = None, limit: int | None = 100
    ) -> list[RunSummary]:
        """Return runs, the newest first; only those in `states` where given."""
        ...

    def series(self) -> list[SeriesSummary]:
        """Return the series that have points left, oldest first; each point is a run."""
        ...

    def run(self, run_id: str) -> RunSummary:
        """Return one run; raises NoSuchRun. Any text may be given, it never becomes a path."""
        ...

    def journal(self, run_id: str) -> list[dict[str, Any]]:
        """Return the entries of a run's journal, oldest first; raises NoSuchRun."""
        ...

    def manifest(self, run_id: str) -> Path:
        """Return the path of a published run's manifest; raises NoSuchRun, WrongState."""
        ...

    def cancel(self, run_id: str, *, by: str) -> RunSummary:
        """End a run: at once where it waits, between planes where it is in work.

        Takes the id of a series too. Returns the run as it stands now; an `ended` one raises
        WrongState.
        """
        ...

    def pause(self, run_id: str | None = None, *, by: str) -> None:
        """Hold one run, or (None) the whole service, before its next plane or run."""
        ...

    def resume(self, run_id: str | None = None) -> None:
        """Let one run, or (None) the service, go on; harmless where nothing is paused."""
        ...

    def status(self) -> ServiceStatus:
        """Return the service at this moment."""
        ...

    def subscribe(self, *, after: int | None = None, size: int = 256) -> Subscription:
        """Return a new queue of events; `after` is the number of the last event heard before."""
        ...

    def latest_frame(self) -> Path | None:
        """Return the newest whole frame of the run in work, or of the last one; None: none yet."""
        ...

    def look(self, exposure: Exposure, *, expose_anew: bool = False) -> View:
        """Take a frame to look at, or fetch the newest one of the run in work.

        May take seconds; see `zstackd.service.viewfinder`.
        """
        ...

    def preview(self, run_id: str) -> Path | None:
        """Return the preview of a published run while it is in the output folder; else None."""
        ...

    def home(self) -> AxisSnapshot:
        """Home the idle focus axis and return where it stands; may take a minute."""
        ...

    def confirm(self, position_um: float) -> AxisSnapshot:
        """Take an operator's word on where the idle axis stands; nothing moves."""
        ...

    def move_to(self, z_um: float) -> AxisSnapshot:
        """Move the idle, referenced axis within its limits and return where it stands."""
        ...

    def find_focus(self, range_um: tuple[float, float]) -> FoundFocus:
        """Look for the sharpest height within a range with the idle rig; may take a minute."""
        ...

    def stop_motion(self) -> None:
        """Stop the motor now; a run in work, or who borrowed the rig, is interrupted by it."""
        ...

    def lend(self, to: str) -> Loan:
        """Leave the devices of the idle rig to another program until the loan is ended.

        May take seconds. Meanwhile runs wait that need the rig.
        """
        ...

    def loan(self) -> Loan | None:
        """Return to whom the rig is lent; None where it is not."""
        ...

    def beats_s(self) -> dict[str, float]:
        """Return the seconds since each essential thread last showed that it lives."""
        ...

    def overdue_s(self) -> dict[str, float]:
        """Return the essential threads that hang, with the seconds they are late; empty: none.

        A watchdog must be fed only while this is empty.
        """
        ...

    def reload(self, rig: Rig) -> Reloaded:
        """Use these settings from the next run on; returns what changed.

        A run in work keeps the old ones. Raises InputError, and keeps the old settings, where
        something changed that only a restart can change (`paths`).
        """
        ...
