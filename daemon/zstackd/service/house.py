"""The parts of one running service, which its threads share."""

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from zstackd.runs.gate import Gate
from zstackd.runs.halt import Halt
from zstackd.runs.publish import Publisher
from zstackd.runs.pulse import Pulses
from zstackd.service.backlog import Backlog
from zstackd.service.catalogue import Catalogue
from zstackd.service.events import Events
from zstackd.service.hardware import Hardware
from zstackd.store.durable import is_folder, remove_file, write_text
from zstackd.store.spool import Spool
from zstackd_config.errors import StorageError
from zstackd_config.rig import Rig
from zstackd_drivers.axis import Reference

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class House:
    """Everything that intake, runs, housekeeping and clients have in common.

    `mount` is the mount point that the output folder is below; None: any.
    """

    spool: Spool
    output: Path
    hardware: Hardware
    events: Events
    catalogue: Catalogue
    stop: Halt
    mount: Path | None = None
    pulses: Pulses = field(default_factory=Pulses)
    backlog: Backlog = field(default_factory=Backlog)
    gate: Gate = field(default_factory=lambda: Gate("service"))
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def rig(self) -> Rig:
        """The rig's settings in force."""
        return self.hardware.rig

    def publisher(self, run_id: str) -> Publisher:
        """Return what lets the result of a run appear."""
        return Publisher(self.output, run_id, self.spool.owner, self.mount)

    def forget_if_deleted(self, run_id: str, *, level: int) -> bool:
        """Forget a run whose folder somebody deleted from the spool; return whether that is so.

        It is logged at `level`. Where the whole spool is away, nothing is known to be deleted.
        """
        runs = self.spool.runs
        if is_folder(runs / run_id) or not is_folder(runs):
            return False
        self.catalogue.forget(run_id)
        _log.log(level, "%s: forgotten: its folder in the spool was deleted", run_id)
        return True

    def reserved_bytes(self) -> int:
        """Return what the run in work will still write, at most."""
        job = self.backlog.in_work()
        return 0 if job is None else job.reserved_bytes

    def shut(self, reason: str) -> None:
        """Pause the service, also beyond a restart."""
        write_text(self._paused, reason + "\n")
        self.gate.shut(reason)
        self.events.tell("service", state="paused", why=reason)

    def open(self) -> None:
        """Let the service go on."""
        remove_file(self._paused)
        self.gate.open()
        self.backlog.wake()

    def stay_paused(self) -> None:
        """Pause the service where it was paused when it ended."""
        try:
            reason = self._paused.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return
        except OSError as error:
            reason = f"paused; {self._paused} cannot be read: {error.strerror}"
        self.gate.shut(reason or "paused")

    def distrust_camera(self, why: str) -> None:
        """Have the next process take a frame before it gives the camera to a run."""
        try:
            write_text(self._camera_hung, why + "\n")
        except StorageError as error:
            _log.warning("the next start will not know that the camera hung: %s", error)

    def trust_camera(self) -> None:
        """Forget that the camera hung: it has given a frame since."""
        try:
            remove_file(self._camera_hung)
        except StorageError as error:
            _log.warning("the next start will ask the camera for a frame: %s", error)

    def distrusts_camera(self) -> bool:
        """Return whether the last process ended since the camera hung."""
        return self._camera_hung.exists()

    @property
    def _camera_hung(self) -> Path:
        return self.spool.state / "camera-hung"

    @property
    def _paused(self) -> Path:
        return self.spool.state / "paused"

    def awaits_operator(self) -> str | None:
        """Return what only an operator can say before anything may move; None: nothing."""
        axis = self.hardware.axis()
        focus = self.rig.focus
        if axis is None or axis.reference is Reference.REFERENCED or focus.reference == "home":
            return None
        known = axis.fault or "not referenced since start"
        return f"the focus axis does not know its position ({known}): confirm where it stands"

    def state(self) -> tuple[str, str | None]:
        """Return the service's state in one word, and why, where there is something to say."""
        job = self.backlog.in_work()
        if self.stop.event.is_set():
            return "stopping", str(self.stop.cause)
        if self.gate.reason is not None:
            return "paused", self.gate.reason
        loan = self.hardware.loan
        if loan is not None and job is None:
            return "lent", str(loan)
        why = self.hardware.trouble or self.awaits_operator() or self._held_up()
        if why is not None and job is None:
            return ("starting" if self.hardware.opening else "degraded"), why
        return ("running" if job else "idle"), None

    def _held_up(self) -> str | None:
        """Return what the first waiting run is held up by."""
        held = (job.held_for.why for job in self.backlog.waiting() if job.held_for is not None)
        return next(held, None)
