"""Many stacks in one go: each subfolder of a folder by itself, whatever becomes of the others."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from zstackd.stack_command.job import StackDone, StackJob
from zstackd.stack_command.outputs import Wanted
from zstackd_config.errors import InputError, ZstackdError
from zstackd_stacking.files.frames import find_frames, looks_like_a_frame, natural_order

_LOG = logging.getLogger(__name__)

NAME: Final = "{name}"
"""Stands for the subfolder's name in the names of outputs."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one subfolder: what was done, or the error that prevented it."""

    folder: Path
    done: StackDone | None
    error: str | None


def run_batch(
    folder: Path, pattern: StackJob, run: Callable[[StackJob], StackDone]
) -> Iterator[Outcome]:
    """Run a job like `pattern` for each subfolder with images, in natural order, one by one.

    Hidden subfolders, those without images, and those into which results go are passed over.

    Raises:
        InputError: the folder has no such subfolders, an output's name is the same for all, or
            results would go among frames.
    """
    require_names(pattern.outputs)
    found = {sub: _frames(sub) for sub in subfolders(folder, pattern.outputs)}
    stacks = {sub: frames for sub, frames in found.items() if frames != []}
    for sub in sorted(found.keys() - stacks.keys()):
        _LOG.info("%s: no images in it, passed over", sub)
    if not stacks:
        raise InputError(f"{folder}: none of its subfolders holds JPEG, PNG or TIFF images")
    require_apart(pattern.outputs, list(stacks))
    inputs = [frame for frames in stacks.values() for frame in frames or ()]
    for sub in stacks:
        yield _outcome(sub, pattern, inputs, run)


def require_names(outputs: Sequence[Wanted]) -> None:
    """Refuse outputs that would be the same file for every stack."""
    for wanted in outputs:
        if NAME not in str(wanted.path):
            raise InputError(
                f"{wanted.path}: with --batch every stack has its own outputs: put {NAME} into the "
                f"path, such as {wanted.path.with_name(f'{NAME}_{wanted.path.name}')}"
            )


def require_apart(outputs: Sequence[Wanted], stacks: Sequence[Path]) -> None:
    """Refuse results in a stack's own folder that the next batch would take for its frames."""
    folders = {sub.resolve() for sub in stacks}
    for wanted in outputs:
        for sub in stacks:
            result = _named(wanted, sub).path
            if looks_like_a_frame(result) and result.parent.resolve() in folders:
                name = wanted.path.name
                better = sub.parent / (name if NAME in name else f"{NAME}_{name}")
                raise InputError(
                    f"{wanted.path}: {result} would lie among the frames of a stack, and be one of "
                    f"them when the batch is repeated; write it elsewhere, such as {better}"
                )


def subfolders(folder: Path, outputs: Sequence[Wanted]) -> list[Path]:
    """Folders in `folder` in natural order, but for hidden ones and the results' own.

    Raises:
        InputError: the folder is missing, is none, cannot be read, or results would go among the
            frames of one of its subfolders.
    """
    find_frames(folder)  # says what is wrong with the folder, if anything
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


def _frames(folder: Path) -> list[Path] | None:
    """The images in a folder; None where it cannot be read, which its own turn will tell."""
    try:
        return find_frames(folder)
    except InputError:
        return None


def _outcome(
    folder: Path,
    pattern: StackJob,
    inputs: Sequence[Path],
    run: Callable[[StackJob], StackDone],
) -> Outcome:
    outputs = [_named(wanted, folder) for wanted in pattern.outputs]
    try:
        job = replace(pattern, frames=find_frames(folder), outputs=outputs, inputs=inputs)
        return Outcome(folder, run(job), None)
    except ZstackdError as error:
        return Outcome(folder, None, str(error))
    except Exception as error:  # noqa: BLE001 - one stack's fault must not end the others
        _LOG.debug("%s: internal error", folder, exc_info=True)
        return Outcome(folder, None, f"{folder}: internal error: {type(error).__name__}: {error}")


def _named(wanted: Wanted, folder: Path) -> Wanted:
    return Wanted(wanted.role, Path(str(wanted.path).replace(NAME, folder.name)))
