"""How a run comes into the spool: judged whole, then accepted for good."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zstackd.runs.plan import Plan, plan_run
from zstackd.service.backlog import Job
from zstackd.service.clock_steps import boot_id
from zstackd.service.house import House
from zstackd.service.schedule import is_series, schedule_of
from zstackd.service.series import SeriesKeeper
from zstackd_config.lines import one_line
from zstackd_config.load import parse_run, read_document
from zstackd_config.run import Run

_log = logging.getLogger(__name__)


class Reception:
    """Judges run files and takes them in, from the inbox and from clients alike."""

    def __init__(self, house: House, series: SeriesKeeper) -> None:
        self._house = house
        self._series = series

    def judged(self, document: bytes, *, source: str) -> tuple[Run, Plan]:
        """Return the run that a document describes, and its plan.

        Raises ConfigError or InputError with everything that is wrong with it.
        """
        run = parse_run(document, name=source)
        house = self._house
        plan = plan_run(
            house.rig, run, source=source, content=document, step_um=house.hardware.step_um()
        )
        schedule_of(run, datetime.now(UTC), source=source)
        return run, plan

    def take_text(self, document: bytes, *, source: str) -> tuple[str, Plan]:
        """Accept a document and return the id of its run, or of its series, and its plan.

        Raises what `judged` raises, and StorageError where the spool cannot take it.
        """
        run, plan = self.judged(document, source=source)
        return self._take(run, document, source), plan

    def take_file(self, path: Path) -> str:
        """Accept a file of the inbox, which is moved into the spool; raises as `take_text`."""
        source = one_line(path.name)
        run, _ = self.judged(read_document(path), source=source)
        return self._take(run, path, source)

    def _take(self, run: Run, request: Path | bytes, source: str) -> str:
        spool = self._house.spool
        facts: dict[str, Any]
        if is_series(run):
            begins = max(datetime.now(UTC), run.not_before or datetime.min.replace(tzinfo=UTC))
            facts = {"begins": begins.isoformat(), "boot": boot_id()}
            folder = spool.accept_series(request, name=run.name, source=source, **facts)
            self._series.begin(folder)
            _log.info("accepted %s as series %s", source, folder.run_id)
            return folder.run_id
        facts = {"source": source, "priority": run.priority}
        if run.not_before is not None:
            facts["not_before"] = run.not_before.astimezone(UTC).isoformat()
        if isinstance(request, bytes):
            folder = spool.accept_text(request, name=run.name, **facts)
        else:
            folder = spool.accept(request, name=run.name, keep=False, **facts)
        ready_at = 0.0 if run.not_before is None else run.not_before.timestamp()
        self._house.backlog.put(Job(folder, priority=run.priority, ready_at=ready_at))
        _log.info("accepted %s as %s", source, folder.run_id)
        return folder.run_id
