"""The stacks that a batch finds in a folder: its subfolders, and files that hold whole z-stacks."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zstackd.stack_command.outputs import OME_ENDINGS, Wanted
from zstackd.stack_command.scale import zstack_in
from zstackd_config.errors import InputError
from zstackd_stacking.files.frames import find_frames
from zstackd_stacking.files.natural import natural_order

_LOG = logging.getLogger(__name__)

_TIFF: Final = (*OME_ENDINGS, ".tiff", ".tif")


@dataclass(frozen=True, slots=True)
class Source:
    """One stack: a folder of frames, or a file that holds all planes."""

    path: Path

    @property
    def name(self) -> str:
        """What outputs are named after: the folder's name, or the file's without its ending."""
        if self.path.is_dir():
            return self.path.name
        ending = next(end for end in _TIFF if self.path.name.lower().endswith(end))
        return self.path.name[: -len(ending)]

    def require_files(self) -> list[Path]:
        """The files to stack.

        Raises:
            InputError: the folder cannot be read.
        """
        return find_frames(self.path) if self.path.is_dir() else [self.path]

    def files(self) -> list[Path] | None:
        """The files to stack; None where they cannot be known, which the stack's turn will tell."""
        try:
            return self.require_files()
        except InputError:
            return None


def sources(folder: Path, outputs: Sequence[Wanted]) -> list[Source]:
    """The stacks in `folder` in natural order, but for hidden ones and the results' own folders.

    Aligned z-stacks that zstackd wrote are results, too, and passed over.

    Raises:
        InputError: the folder is missing, is none, cannot be read, results would go among the
            frames of one of its subfolders, or two stacks would have results of one name.
    """
    files = [file for file in find_frames(folder) if _is_source(file)]
    found = [Source(path) for path in natural_order([*_subfolders(folder, outputs), *files])]
    named: dict[str, Source] = {}
    for source in found:
        if named.setdefault(source.name, source) is not source:
            raise InputError(
                f"{source.path}: its results would be named {source.name}, as would those of "
                f"{named[source.name].path}; rename one of them"
            )
    return found


def _is_source(file: Path) -> bool:
    """Whether a file is a z-stack to be stacked, or perhaps one: its turn will tell."""
    if not file.name.lower().endswith(_TIFF):
        return False
    try:
        stack = zstack_in(file)
    except InputError:
        return True
    if stack is not None and stack.by_zstackd:
        _LOG.info("%s: a result of zstackd, passed over; it can be stacked by itself", file)
        return False
    return stack is not None


def _subfolders(folder: Path, outputs: Sequence[Wanted]) -> list[Path]:
    found = natural_order(
        entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    results = {wanted.path.resolve().parent for wanted in outputs}
    for sub in found:
        if sub.resolve() in results:
            _require_results_only(sub, [other.name for other in found])
    return [sub for sub in found if sub.resolve() not in results]


def _require_results_only(folder: Path, names: Sequence[str]) -> None:
    """Refuse to write among frames: an earlier batch's results bear the names of its stacks."""
    for image in find_frames(folder):
        if not any(name in image.name for name in names):
            raise InputError(
                f"{folder}: results would go into this folder, but {image.name} in it looks like a "
                "frame; name a folder of its own for them"
            )
