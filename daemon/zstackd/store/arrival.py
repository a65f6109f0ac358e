"""How a request comes into the folder of its run: by one rename, once and for good."""

import errno
import logging
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from zstackd.store.durable import flush_file, flush_folder, write_bytes
from zstackd_config.errors import ZstackdError
from zstackd_config.load import read_document

REQUEST: Final = "request.yaml"
_TAKEN: Final = ".taken"
_OURS: Final = re.compile(r"[0-9A-Za-z_-]+", re.ASCII)
_log = logging.getLogger(__name__)


def bring(source: Path, target: Path, *, keep: bool) -> None:
    """Move a file to its place, or copy it where `keep` is set; afterwards it is on the disk."""
    if keep:
        write_bytes(target, source.read_bytes())
        return
    flush_file(source)  # whoever wrote it may not have done so
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _bring_across(source, target)
        return
    flush_folder(target.parent)
    flush_folder(source.parent)


def _bring_across(source: Path, target: Path) -> None:
    """Move a file in from another file system, so that no moment leaves two of it, or none.

    It is marked as taken before it counts as accepted; `finish_moves` goes on from there.
    """
    taken = source.with_name(f".{target.parent.name}{_TAKEN}")
    source.rename(taken)
    flush_folder(source.parent)
    try:
        write_bytes(target, read_document(taken))
    except ZstackdError:
        if not target.exists():
            taken.rename(source)
        raise
    taken.unlink()


def finish_moves(inbox: Path, parents: Sequence[Path]) -> None:
    """Finish what a crash left between an inbox on another file system and the spool.

    `parents` hold the folders that files were on their way to.
    """
    for taken in inbox.glob(f".*{_TAKEN}"):
        name = taken.name[1 : -len(_TAKEN)]
        if not (_OURS.fullmatch(name) and stat.S_ISREG(taken.lstat().st_mode)):
            continue  # somebody else's
        folder = next((each / name for each in parents if (each / name).is_dir()), None)
        try:
            _finish(taken, None if folder is None else folder / REQUEST)
        except (OSError, ZstackdError) as error:
            _log.error("%s stays where it is: %s", taken, error)


def _finish(taken: Path, target: Path | None) -> None:
    if target is None:
        taken.rename(taken.with_name(f"{taken.name[1:]}.yaml"))
        return
    if not target.exists():
        write_bytes(target, read_document(taken))
    taken.unlink()
