"""The service: does what was accepted, in order, and outlives what fails."""

import logging
import os
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from zstackd.runs.past import past_of
from zstackd.runs.worker import Worker
from zstackd.service.backlog import Job
from zstackd.service.control import Control
from zstackd.service.doorkeeper import Doorkeeper
from zstackd.service.hooks import Hooks
from zstackd.service.house import House
from zstackd.service.keeper import Keeper
from zstackd.service.performer import Performer
from zstackd.service.reception import Reception
from zstackd.service.recovery import fail_damaged, recover
from zstackd.service.series import SeriesKeeper, job_of
from zstackd.service.service_control import ServiceControl
from zstackd.store.durable import make_folder
from zstackd.store.journal import DAMAGE
from zstackd.store.spool import OpenRun
from zstackd.system.thrift import give_back, keep_loaded
from zstackd_config.errors import Interrupted, StorageError, ZstackdError
from zstackd_config.load import load_run
from zstackd_drivers.errors import CameraHung

LOOK_S: Final = 1.0
_PATIENCE_S: Final = 3.0
_log = logging.getLogger(__name__)


class Service:
    """One rig's service; `house.stop` ends it, whatever it is doing."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.series = SeriesKeeper(house.spool, house.backlog, house.catalogue)
        self.reception = Reception(house, self.series)
        self.control: Control = ServiceControl(house, self.reception, self.series)
        self._performer = Performer(house)
        self._said: tuple[str, str | None] = ("", None)
        self._distrusts_camera = False

    def run(self, opened: Callable[[], None]) -> None:
        """Serve until stopped; raises what ended it, if it was not asked to stop.

        Calls `opened` once runs can be accepted.
        """
        house = self._house
        try:
            self._prepare()
        except Interrupted as error:
            _log.info("%s while it started", error)
            return
        house.stop.listen(house.backlog.close)
        doorkeeper = Doorkeeper(
            house.spool.inbox, self.reception, house.stop, house.pulses.of("inbox")
        )
        helpers = [
            Worker("inbox", doorkeeper.run, house.stop),
            Worker("hooks", Hooks(house, house.pulses.of("hooks")).run, house.stop),
            Worker("housekeeping", Keeper(house, house.pulses.of("housekeeping")).run, house.stop),
        ]
        for helper in helpers:
            helper.start()
        _log.info("serving %s: drop run files into %s", house.rig.name, house.spool.inbox)
        try:
            opened()
            keep_loaded()
            give_back()
            self._work()
        except BaseException as error:
            house.stop.fail(error)
            raise
        finally:
            house.hardware.close()
            house.events.close()
            end_s = time.monotonic() + _PATIENCE_S
            for helper in helpers:
                helper.join(end_s)
        cause = house.stop.cause
        if cause is not None and not isinstance(cause, Interrupted):
            raise cause
        _log.info("stopped")

    def _prepare(self) -> None:
        """Take up what earlier starts left; a missing output folder is waited for by the runs."""
        house = self._house
        try:
            if house.mount is None or os.path.ismount(house.mount):
                make_folder(house.output)
            house.publisher("").require_place()
        except StorageError as error:
            _log.error("%s", error)
        waiting = recover(house.spool, house.output, house.stop.check)
        house.catalogue.load(house.spool, house.stop.check)
        house.stay_paused()
        if house.distrusts_camera():
            self._distrusts_camera = True
            house.hardware.distrust_camera()
        for run in waiting:
            self._put(run)
        self.series.load()

    def _put(self, run: OpenRun) -> None:
        """Queue a run that an earlier start left open; one that cannot be read keeps no other."""
        house = self._house
        try:
            house.backlog.put(_job_from(run))
        except DAMAGE:
            try:
                hook = house.rig.service.on_failed is not None
                fail_damaged(house.spool, run, hook=hook)
            except StorageError as error:
                _log.error("%s: left alone: %s", run.folder.run_id, error)

    def _work(self) -> None:
        house, pulse = self._house, self._house.pulses.of("runs")
        while not house.stop.event.is_set():
            pulse.beat()
            self._keep_hardware()
            self.series.turn()
            self._say_state()
            job = self._next()
            if job is not None:
                pulse.rest()
                self._performer.perform(job)

    def _keep_hardware(self) -> None:
        house = self._house
        try:
            is_open = house.hardware.keep()
        except CameraHung as error:
            house.distrust_camera(str(error))
            raise
        if is_open and self._distrusts_camera:
            self._distrusts_camera = False
            house.trust_camera()

    def _next(self) -> Job | None:
        """Wait a moment for a job that can be done now."""
        house = self._house
        if house.gate.reason is not None:
            house.stop.event.wait(LOOK_S)
            return None
        is_open = house.hardware.trouble is None
        asks = house.awaits_operator()
        ends_anyway = house.rig.service.when_not_resumable == "end"

        def able(job: Job) -> bool:
            if not (job.needs_rig or job.retake):
                return True
            return is_open and (asks is None or (job.begun and ends_anyway))

        return house.backlog.take(min(LOOK_S, self.series.next_due_s()), able=able)

    def _say_state(self) -> None:
        state = self._house.state()
        if state != self._said:
            self._said = state
            word, why = state
            self._house.events.tell("service", state=word, why=why)
            _log.info("now %s%s", word, f": {why}" if why else "")


def _job_from(run: OpenRun) -> Job:
    """Return the job of a run that an earlier start left open."""
    accepted = run.history[0]
    if accepted["event"] != "accepted":
        raise LookupError(f"{run.folder.journal}: begins with {accepted['event']}")
    past = past_of(run.history)
    due = accepted.get("due")
    if due is not None:
        due_at = datetime.fromisoformat(due)
        try:
            job = job_of(run.folder, load_run(run.folder.request), due_at)
        except ZstackdError:
            job = Job(run.folder)  # a damaged request fails, in its turn, with its own reason
    else:
        not_before = accepted.get("not_before")
        ready_at = 0.0 if not_before is None else datetime.fromisoformat(not_before).timestamp()
        job = Job(run.folder, priority=int(accepted.get("priority", 0)), ready_at=ready_at)
    job.begun, job.needs_rig = bool(past.frames), not past.captured
    paused = _pause_of(run)
    if paused is not None:
        job.gate.shut(paused)
    return job


def _pause_of(run: OpenRun) -> str | None:
    """Return why a run was held when the last start ended; the service's own pause aside."""
    marks = (e for e in reversed(run.history) if e["event"] in {"paused", "resumed", "started"})
    last = next(marks, None)
    if last is None or last["event"] != "paused" or last.get("of") == "service":
        return None
    return str(last.get("reason", "paused"))
