"""Frames of a run bring their heights along: its journal beside them knows where each was taken."""

import logging
from collections.abc import Sequence
from pathlib import Path

_log = logging.getLogger(__name__)


def heights_of_run(frames: Sequence[Path]) -> list[float] | None:
    """The heights of frames in µm, as their run counted them; None where they are of no run.

    They must all lie in the frames folder of one run, and be in its journal.
    """
    folders = {frame.absolute().parent for frame in frames}
    folder = next(iter(folders)) if len(folders) == 1 else None
    if folder is None or not (folder.parent / "journal.jsonl").is_file():
        return None
    # What follows costs start-up: half the time of a small stack.
    from zstackd.runs.past import past_of  # noqa: PLC0415
    from zstackd.store.journal import DAMAGE, read_journal  # noqa: PLC0415
    from zstackd.store.spool import RunFolder  # noqa: PLC0415

    run = RunFolder(folder.parent)
    if run.frames != folder:
        return None
    try:
        known = {one.file: one.z_um for one in past_of(read_journal(run.journal)).frames}
    except (OSError, *DAMAGE) as error:
        _log.warning("%s: warning: not used for heights (%s)", run.journal, error)
        return None
    heights = [known[frame.name] for frame in frames if frame.name in known]
    return heights if len(heights) == len(frames) else None
