"""Old frames and old results make room; nothing that somebody still needs is touched."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import disk_usage
from typing import Final

from zstackd.runs.frame_store import drop_frames
from zstackd.runs.publish import Publisher
from zstackd.service.clock_steps import elapsed_s
from zstackd.service.house import House
from zstackd.service.older_runs import OlderRuns
from zstackd.service.outbox import is_ours_alone
from zstackd.service.said import Said
from zstackd.store.durable import is_folder
from zstackd.store.room import free_bytes, readable
from zstackd.store.run_state import RunSummary
from zstackd.store.spool import RunFolder
from zstackd_config.errors import StorageError
from zstackd_config.service import Retention

_GB: Final = 1e9
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """One old thing on a disk: frames or a result of an ended run."""

    run: RunSummary
    folder: Path
    ended_at: datetime
    bytes: int
    deletable: bool


def to_delete(
    kept: Sequence[Kept], rule: Retention, now: datetime, free: Callable[[], int]
) -> Iterable[tuple[Kept, str]]:
    """Yield what a rule wants deleted, oldest first, and why; `free` is asked again each time.

    Each must be deleted before the next is asked for.
    """
    total = sum(each.bytes for each in kept)
    for each in sorted(kept, key=lambda each: (each.ended_at, each.run.run_id)):
        why = _why(each, rule, now, total, free) if each.deletable else None
        if why is not None:
            yield each, why
            total -= each.bytes


def _why(
    each: Kept, rule: Retention, now: datetime, total: int, free: Callable[[], int]
) -> str | None:
    days = rule.max_age_days
    if days is not None and now - each.ended_at > timedelta(days=days):
        return f"older than {days:g} days"
    if rule.max_size_gb is not None and total > rule.max_size_gb * _GB:
        return f"more than {rule.max_size_gb:g} GB are kept"
    if rule.min_free_gb is not None and free() < rule.min_free_gb * _GB:
        return f"less than {rule.min_free_gb:g} GB are free"
    return None


class Sweeper:
    """Applies the rules of the rig file to the spool and the output folder."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._older = OlderRuns(house)
        self._sizes: dict[Path, int] = {}
        self._said = Said(_log)
        self._begun_s = elapsed_s()

    def sweep(self) -> None:
        """Delete what the rules say; what cannot be read or deleted is left for the next time."""
        self._said.turn()
        self._forget_deleted()
        house, rules = self._house, self._house.rig.service
        if rules.frames == rules.results == Retention():
            return
        runs = [run for run in house.catalogue.listed() if run.ended and run.ended_at]
        runs += self._older.with_something_left()
        # A hook may be what takes frames and result away: it comes first, also after a long rest.
        runs = [run for run in runs if not run.hook_due]
        frames = [(run, self._frames(run)) for run in runs if run.frames_kept]
        self._apply(frames, rules.frames, house.spool.runs, self._drop_frames)
        results = [(run, run.result) for run in runs if run.result and is_folder(run.result)]
        self._apply(results, rules.results, house.output, self._delete_result)

    def _forget_deleted(self) -> None:
        """Forget ended runs whose folders somebody deleted from the spool to make room."""
        for run in self._house.catalogue.listed():
            if run.ended:
                self._house.forget_if_deleted(run.run_id, level=logging.INFO)

    @contextmanager
    def _only_said(self, run: RunSummary) -> Iterator[None]:
        """One folder that nobody can read or delete must not keep the others."""
        try:
            yield
        except (OSError, StorageError) as error:
            self._said.warn(f"retention: {run.run_id}: {error}")

    def finish(self) -> None:
        """Delete the frames that a crash left after the journal had said that they go."""
        for run in self._house.catalogue.listed():
            if run.ended and not run.frames_kept and self._frames(run).exists():
                with self._only_said(run):
                    drop_frames(self._frames(run))

    def _apply(
        self,
        found: Sequence[tuple[RunSummary, Path]],
        rule: Retention,
        place: Path,
        delete: Callable[[Kept, str], None],
    ) -> None:
        if rule == Retention():
            return
        kept = []
        for run, folder in found:
            with self._only_said(run):
                kept.append(self._kept(run, folder))
        try:
            rule = self._that_can_be_met(rule, place)
            for each, why in to_delete(kept, rule, datetime.now(UTC), lambda: free_bytes(place)):
                with self._only_said(each.run):
                    delete(each, why)
                self._sizes.pop(each.folder, None)
        except OSError as error:
            self._said.warn(f"retention: {place}: {error.strerror}")

    def _that_can_be_met(self, rule: Retention, place: Path) -> Retention:
        """Return a rule without the free room that the file system would not have were it empty.

        It would have everything deleted, each result as soon as it is there.
        """
        size = disk_usage(place).total
        if rule.min_free_gb is None or rule.min_free_gb * _GB < size:
            return rule
        self._said.warn(
            f"retention: min_free_gb {rule.min_free_gb:g} is not applied: the whole file system of "
            f"{place} holds {readable(size)}; give less"
        )
        return rule.model_copy(update={"min_free_gb": None})

    def _kept(self, run: RunSummary, folder: Path) -> Kept:
        if folder not in self._sizes:
            self._sizes[folder] = _size(folder)
        acknowledged = self._house.rig.service.acknowledge == "none" or run.consumed
        return Kept(
            run=run,
            folder=folder,
            ended_at=self._ended_at(run),
            bytes=self._sizes[folder],
            deletable=acknowledged or run.result is None,
        )

    def _ended_at(self, run: RunSummary) -> datetime:
        """Return when a run ended, by the clock of today.

        A computer without a clock of its own may have been weeks behind then. What ended since the
        service was started is no older than that.
        """
        ended_at = datetime.fromisoformat(run.ended_at or run.changed_at)
        if ended_at < self._house.started_at:
            return ended_at
        return max(ended_at, datetime.now(UTC) - timedelta(seconds=elapsed_s() - self._begun_s))

    def _frames(self, run: RunSummary) -> Path:
        return RunFolder(self._house.spool.runs / run.run_id).frames

    def _drop_frames(self, each: Kept, why: str) -> None:
        folder = RunFolder(self._house.spool.runs / each.run.run_id)
        with self._house.spool.journal(folder) as journal:
            journal.append("frames_dropped", reason=why)
        drop_frames(each.folder)
        _log.info("%s: frames deleted: %s", each.run.run_id, why)

    def _delete_result(self, each: Kept, why: str) -> None:
        """Hide the result by one rename, so that nobody sees half of it, then delete it."""
        if not is_ours_alone(each.run):
            return
        publisher = Publisher(each.folder.parent, each.run.run_id, self._house.spool.owner)
        each.folder.rename(publisher.hidden)
        folder = RunFolder(self._house.spool.runs / each.run.run_id)
        with self._house.spool.journal(folder) as journal:
            journal.append("result_deleted", reason=why)
        publisher.discard()
        _log.info("%s: result deleted: %s", each.run.run_id, why)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
