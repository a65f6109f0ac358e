"""Old frames and old results make room; nothing that somebody still needs is touched."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import disk_usage
from typing import Final, Literal

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

    @property
    def age(self) -> tuple[datetime, str, str]:
        """What is older is less; by the clock of then where a later setting made them alike."""
        return self.ended_at, self.run.ended_at or self.run.changed_at, self.run.run_id


@dataclass(frozen=True, slots=True)
class Why:
    """Why something is deleted: in words, and by which key of the rule."""

    words: str
    key: Literal["max_age_days", "max_size_gb", "min_free_gb"]


def to_delete(
    kept: Sequence[Kept], rule: Retention, now: datetime, free: Callable[[], int]
) -> Iterable[tuple[Kept, Why]]:
    """Yield what a rule wants deleted, oldest first, and why; `free` is asked again each time.

    Each must be deleted before the next is asked for.
    """
    total = sum(each.bytes for each in kept)
    for each in sorted(kept, key=lambda each: each.age):
        why = _why(each, rule, now, total, free) if each.deletable else None
        if why is not None:
            yield each, why
            total -= each.bytes


def _why(
    each: Kept, rule: Retention, now: datetime, total: int, free: Callable[[], int]
) -> Why | None:
    days = rule.max_age_days
    if days is not None and now - each.ended_at > timedelta(days=days):
        return Why(f"older than {days:g} days", "max_age_days")
    if rule.max_size_gb is not None and total > rule.max_size_gb * _GB:
        return Why(f"more than {rule.max_size_gb:g} GB are kept", "max_size_gb")
    if rule.min_free_gb is not None and free() < rule.min_free_gb * _GB:
        return Why(f"less than {rule.min_free_gb:g} GB are free", "min_free_gb")
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
        self._apply(results, rules.results, house.output, self._delete_result, spare=_newest_unseen)

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
        spare: Callable[[Sequence[Kept]], Kept | None] = lambda _: None,
    ) -> None:
        """Delete what a rule wants deleted; what is to be spared goes for its age alone."""
        if rule == Retention():
            return
        kept = []
        begun_at = datetime.now(UTC) - timedelta(seconds=elapsed_s() - self._begun_s)
        for run, folder in found:
            with self._only_said(run):
                kept.append(self._kept(run, folder, begun_at))
        spared = spare(kept)
        try:
            rule = self._that_can_be_met(rule, place)
            for each, why in to_delete(kept, rule, datetime.now(UTC), lambda: free_bytes(place)):
                if each is spared and why.key != "max_age_days":
                    self._say_spared(each, why)
                    continue
                with self._only_said(each.run):
                    delete(each, why.words)
                self._sizes.pop(each.folder, None)
        except OSError as error:
            self._said.warn(f"retention: {place}: {error.strerror}")

    def _say_spared(self, each: Kept, why: Why) -> None:
        remedy = "give more" if why.key == "max_size_gb" else "make room, or give less"
        self._said.warn(
            f"retention: {each.run.run_id} stays although {why.words} ({why.key}): it is the "
            f"newest result, and takes {readable(each.bytes)} alone; {remedy}",
            topic=f"{why.key} spares the newest",
        )

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

    def _kept(self, run: RunSummary, folder: Path, begun_at: datetime) -> Kept:
        if folder not in self._sizes:
            self._sizes[folder] = _size(folder)
        acknowledged = self._house.rig.service.acknowledge == "none" or run.consumed
        return Kept(
            run=run,
            folder=folder,
            ended_at=self._ended_at(run, begun_at),
            bytes=self._sizes[folder],
            deletable=acknowledged or run.result is None,
        )

    def _ended_at(self, run: RunSummary, begun_at: datetime) -> datetime:
        """Return when a run ended, by the clock of today.

        A computer without a clock of its own may have been weeks behind then. What ended since the
        service was started is no older than that, `begun_at` by the clock of today.
        """
        ended_at = datetime.fromisoformat(run.ended_at or run.changed_at)
        if ended_at < self._house.started_at:
            return ended_at
        return max(ended_at, begun_at)

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


def _newest_unseen(results: Sequence[Kept]) -> Kept | None:
    """Return the newest result; None where a consumer has acknowledged it, who may lose it.

    A rule that no result can keep would have each deleted as soon as it was published.
    """
    newest = max(results, key=lambda each: each.age, default=None)
    return None if newest is None or newest.run.consumed else newest


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
