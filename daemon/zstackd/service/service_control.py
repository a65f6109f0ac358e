"""The control facade on a running service; see `zstackd.service.control` for its promises."""

import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

from zstackd.runs.autofocus import FoundFocus, find_focus
from zstackd.runs.halt import Halt
from zstackd.runs.plan import Plan, check_sweep
from zstackd.runs.safety import motor_stops_with
from zstackd.service.backlog import Job
from zstackd.service.catalogue import summary_of
from zstackd.service.control import (
    Accepted,
    NoSuchRun,
    Reloaded,
    ServiceStatus,
    Space,
    WrongState,
)
from zstackd.service.events import QUEUE, Subscription
from zstackd.service.house import House
from zstackd.service.loan import Loan
from zstackd.service.reception import Reception
from zstackd.service.series import SeriesKeeper, SeriesSummary
from zstackd.service.viewfinder import Exposure, View, Viewfinder
from zstackd.store.durable import is_file
from zstackd.store.journal import read_journal
from zstackd.store.run_state import RunState, RunSummary
from zstackd.store.spool import RunFolder, is_run_id
from zstackd_config.errors import InputError, Interrupted, StorageError
from zstackd_config.rig import Rig
from zstackd_config.run import LockedAutoExposure
from zstackd_drivers.axis import AxisSnapshot
from zstackd_drivers.errors import LimitError, UnreferencedError
from zstackd_drivers.factory import Devices, reference_axis, settings_of_devices

_STOPPED: Final = "stopped by an operator"
_ONLY_BY_RESTART: Final = ("paths", "api")


class ServiceControl:
    """What clients may ask for, done with the parts of the house."""

    def __init__(self, house: House, reception: Reception, series: SeriesKeeper) -> None:
        self._house = house
        self._reception = reception
        self._series = series
        self._viewfinder = Viewfinder(house)
        self._by_hand: Halt | None = None

    # Runs.

    def submit(self, document: bytes, *, source: str) -> Accepted:
        """Accept a run file's text; see `Control.submit`."""
        accepted, plan = self._reception.take_text(document, source=source)
        series = self._series.find(accepted)
        run = self.run(accepted) if series is None else None
        return Accepted(run, series, plan.warnings)

    def check(self, document: bytes, *, source: str) -> Plan:
        """Judge a run file's text and return its plan; nothing is kept."""
        return self._reception.judged(document, source=source)[1]

    def runs(
        self, *, states: Collection[RunState] | None = None, limit: int | None = 100
    ) -> list[RunSummary]:
        """Return runs, the newest first."""
        return self._house.catalogue.listed(states=states, limit=limit)

    def series(self) -> list[SeriesSummary]:
        """Return the series that have points left, oldest first."""
        return self._series.summaries()

    def run(self, run_id: str) -> RunSummary:
        """Return one run; raises NoSuchRun."""
        return self._house.catalogue.get(run_id) or summary_of(self._folder(run_id))

    def journal(self, run_id: str) -> list[dict[str, Any]]:
        """Return the entries of a run's journal, oldest first; raises NoSuchRun."""
        return read_journal(self._folder(run_id).journal)

    def manifest(self, run_id: str) -> Path:
        """Return the path of a published run's manifest; raises NoSuchRun, WrongState."""
        result = self.run(run_id).result
        manifest = None if result is None else result / "manifest.json"
        if manifest is None or not is_file(manifest):
            raise WrongState(f"run {run_id} has no result in the output folder")
        return manifest

    def cancel(self, run_id: str, *, by: str) -> RunSummary:
        """End a run, or a series with its run in the queue; see `Control.cancel`."""
        reason = f"cancelled by {by}"
        if self._series.find(run_id) is not None:
            current = self._series.cancel(run_id, reason)
            if current is None:
                return RunSummary(run_id, state=RunState.CANCELLED, reason=reason)
            run_id = current
        return self._cancel_run(run_id, reason)

    def pause(self, run_id: str | None = None, *, by: str) -> None:
        """Hold one run, or (None) the whole service, before its next plane or run."""
        reason = f"paused by {by}"
        if run_id is None:
            self._house.shut(reason)
            return
        job = self._open_job(run_id, "pause")
        if job.gate.reason is None:
            job.gate.shut(reason)
            self._say_of_waiting(job, "paused", reason=reason)

    def resume(self, run_id: str | None = None) -> None:
        """Let one run, or (None) the service, go on; harmless where nothing is paused."""
        if run_id is None:
            self._house.open()
            return
        job = self._open_job(run_id, "resume")
        if job.gate.reason is not None:
            job.retake, job.again_s = True, 0.0
            self._say_of_waiting(job, "resumed")
            job.gate.open()
            self._house.backlog.wake()

    # The service.

    def status(self) -> ServiceStatus:
        """Return the service at this moment."""
        house = self._house
        state, why = house.state()
        job = house.backlog.in_work()
        return ServiceStatus(
            state=state,
            why=why,
            rig=house.rig.name,
            version=version("zstackd"),
            started_at=house.started_at.isoformat(timespec="seconds"),
            current=None if job is None else house.catalogue.get(job.run_id),
            queue=len(house.backlog.waiting()),
            counts=house.catalogue.counts(),
            axis=house.hardware.axis(),
            camera=house.hardware.camera(),
            spool=_space(house.spool.state),
            output=_space(house.output),
            reserved_bytes=house.reserved_bytes(),
            faults=house.hardware.faults,
            loan=house.hardware.loan,
        )

    def subscribe(self, *, after: int | None = None, size: int = QUEUE) -> Subscription:
        """Return a new queue of events."""
        return self._house.events.subscribe(after=after, size=size)

    def latest_frame(self) -> Path | None:
        """Return the newest whole frame; None where there is none."""
        latest = self._house.catalogue.latest_frame()
        if latest is None:
            return None
        run_id, entry = latest
        path = RunFolder(self._house.spool.runs / run_id).frames / entry["file"]
        return path if path.is_file() else None

    def preview(self, run_id: str) -> Path | None:
        """Return the preview of a published run while it is in the output folder; else None."""
        result = self.run(run_id).result
        path = None if result is None else result / "preview.jpg"
        return path if path is not None and is_file(path) else None

    def beats_s(self) -> dict[str, float]:
        """Return the seconds since each essential thread last showed that it lives."""
        return self._house.pulses.ages_s()

    def overdue_s(self) -> dict[str, float]:
        """Return the essential threads that hang, with the seconds they are late; empty: none."""
        return self._house.pulses.overdue_s()

    def reload(self, rig: Rig) -> Reloaded:
        """Use these settings from the next run on; see `Control.reload`."""
        before = self._house.hardware.next_rig
        changed = tuple(
            key for key in type(rig).model_fields if getattr(rig, key) != getattr(before, key)
        )
        for key in _ONLY_BY_RESTART:
            if key in changed:
                raise InputError(f"{key}: can only be changed by a restart of the service")
        if not changed:
            return Reloaded()
        note = self._when_in_force(rig)
        self._house.hardware.replace(rig)
        self._house.backlog.wake()
        return Reloaded(changed, note)

    def _when_in_force(self, rig: Rig) -> str:
        """Say from when on other settings hold, and what the axis has to do for it."""
        job = self._house.backlog.in_work()
        said = [] if job is None else [f"in force once {job.run_id} has ended"]
        if settings_of_devices(rig) != settings_of_devices(self._house.rig):
            homes = rig.focus.reference == "home"
            then = "has to be homed again" if homes else "waits for `zstackd focus confirm`"
            said.append(f"the rig is opened anew for that, and its axis {then}")
        return "; ".join(said)

    # The rig, while no run uses it.

    def look(self, exposure: Exposure, *, expose_anew: bool = False) -> View:
        """Take a frame to look at, or fetch the newest one of the run in work."""
        return self._viewfinder.look(exposure, expose_anew=expose_anew)

    def home(self) -> AxisSnapshot:
        """Home the idle focus axis and return where it stands; may take a minute."""
        return self._moved(lambda devices, _: devices.axis.home())

    def confirm(self, position_um: float) -> AxisSnapshot:
        """Take an operator's word on where the idle axis stands; nothing moves."""
        return self._moved(lambda devices, _: devices.axis.confirm(position_um))

    def move_to(self, z_um: float) -> AxisSnapshot:
        """Move the idle, referenced axis within its limits and return where it stands."""

        def move(devices: Devices, _: Halt) -> None:
            reference_axis(devices.axis, self._house.rig.focus)
            devices.axis.move_to(z_um)

        return self._moved(move)

    def find_focus(self, range_um: tuple[float, float]) -> FoundFocus:
        """Look for the sharpest height within a range with the idle rig; the axis ends there."""
        check_sweep(range_um, self._house.rig.focus)
        found: list[FoundFocus] = []

        def look(devices: Devices, halt: Halt) -> None:
            reference_axis(devices.axis, self._house.rig.focus)
            devices.camera.lock_exposure(LockedAutoExposure())
            found.append(find_focus(devices, self._house.rig, range_um, check=halt.check))

        self._moved(look)
        return found[0]

    def stop_motion(self) -> None:
        """Stop the motor now; a run in work, or who borrowed the rig, is interrupted by it."""
        job, by_hand = self._house.backlog.in_work(), self._by_hand
        if job is not None:
            job.halt.request(_STOPPED)
        if by_hand is not None:
            by_hand.request(_STOPPED)
        self._house.hardware.stop_motion(_STOPPED)

    def lend(self, to: str) -> Loan:
        """Leave the devices of the idle rig to another program until the loan is ended."""
        return self._house.hardware.lend(to)

    def loan(self) -> Loan | None:
        """Return to whom the rig is lent; None where it is not."""
        return self._house.hardware.loan

    # Parts of the above.

    def _moved(self, act: Callable[[Devices, Halt], None]) -> AxisSnapshot:
        """Act on the lent devices; a refusal before any motion leaves them as they are."""
        refused: LimitError | UnreferencedError | None = None
        halt = Halt()
        with (
            self._house.hardware.lent() as devices,
            halt.following(self._house.stop),
            self._stoppable(halt),
            motor_stops_with(halt, devices),
        ):
            try:
                act(devices, halt)
            except (LimitError, UnreferencedError) as error:
                refused = error
            except Interrupted:
                halt.check()  # it knows by whom
                raise
            halt.check()  # it came too late to be noticed, but the camera is cancelled
            snapshot = devices.axis.snapshot()
        if isinstance(refused, LimitError):
            raise InputError(str(refused)) from refused
        if refused is not None:
            raise refused
        self._house.backlog.wake()
        return snapshot

    @contextmanager
    def _stoppable(self, halt: Halt) -> Iterator[None]:
        """Inside, `stop_motion` halts this; there is one at a time, with the lent devices."""
        self._by_hand = halt
        try:
            yield
        finally:
            self._by_hand = None

    def _folder(self, run_id: str) -> RunFolder:
        folder = RunFolder(self._house.spool.runs / run_id) if is_run_id(run_id) else None
        if folder is None or not folder.request.is_file():
            if is_run_id(run_id) and (self._house.spool.series / run_id).is_dir():
                raise NoSuchRun(
                    f"{run_id} is a series, not a run: `zstackd list` names its runs, `zstackd "
                    f"show {run_id}` the last one while more are to come"
                )
            raise NoSuchRun(f"no run {run_id[:80]!r} in the spool; `zstackd list` names them")
        return folder

    def _open_job(self, run_id: str, order: Literal["pause", "resume"]) -> Job:
        job = self._house.backlog.find(run_id)
        if self._series.find(run_id) is not None:
            raise WrongState(f"{run_id} is a series: {order} its run in work or the whole service")
        if job is None:
            state = self.run(run_id).state
            raise WrongState(
                f"run {run_id} is {state}: only a run that is not ended can be {order}d"
            )
        return job

    def _cancel_run(self, run_id: str, reason: str) -> RunSummary:
        job = self._house.backlog.remove(run_id)
        if job is not None:
            try:
                with self._house.spool.journal(job.folder) as journal:
                    journal.append("cancelled", reason=reason)
            except StorageError:
                self._house.backlog.put(job)  # it is not cancelled
                raise
            return self.run(run_id)
        job = self._house.backlog.find(run_id)
        summary = self.run(run_id)
        if job is None or summary.ended:
            raise WrongState(f"run {run_id} is {summary.state} already")
        job.halt.cancel(reason)
        for gate in (job.gate, self._house.gate):
            gate.wake()
        return summary

    def _say_of_waiting(self, job: Job, event: Literal["paused", "resumed"], **facts: str) -> None:
        """Write into the journal of a run that waits; one in work says it by itself."""
        if self._house.backlog.in_work() is job:
            return
        with self._house.spool.journal(job.folder) as journal:
            journal.append(event, **facts)


def _space(folder: Path) -> Space:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return Space(folder, None, None)
    return Space(folder, usage.free, usage.total)
