"""Many stacks in one go: each subfolder of a folder by itself, whatever becomes of the others.

So is each file in the folder that holds a whole z-stack.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from zstackd.stack_command.job import StackDone, StackJob
from zstackd.stack_command.outputs import Wanted
from zstackd.stack_command.scale import with_frames
from zstackd.stack_command.sources import Source, sources
from zstackd_config.errors import InputError, ZstackdError
from zstackd_stacking.files.frames import looks_like_a_frame

_LOG = logging.getLogger(__name__)

NAME: Final = "{name}"
"""Stands for the stack's name in the names of outputs."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one stack: what was done, or the error that prevented it."""

    source: Source
    done: StackDone | None
    error: str | None


def run_batch(
    folder: Path, pattern: StackJob, run: Callable[[StackJob], StackDone]
) -> Iterator[Outcome]:
    """Run a job like `pattern` for each stack in a folder, in natural order, one by one.

    Hidden subfolders, those without images, and those into which results go are passed over.

    Raises:
        InputError: the folder holds no stacks, an output's name is the same for all, or results
            would go among frames.
    """
    require_names(pattern.outputs)
    found = sources(folder, pattern.outputs)
    stacks = [source for source in found if source.files() != []]
    for source in sorted(set(found) - set(stacks), key=lambda source: source.path):
        _LOG.info("%s: no images in it, passed over", source.path)
    if not stacks:
        raise InputError(
            f"{folder}: none of its subfolders holds JPEG, PNG or TIFF images, and no file in it a "
            "z-stack"
        )
    require_apart(pattern.outputs, [source.path for source in stacks if source.path.is_dir()])
    inputs = [file for source in stacks for file in source.files() or ()]
    for source in stacks:
        yield _outcome(source, pattern, inputs, run)


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
            result = _named(wanted, sub.name).path
            if looks_like_a_frame(result) and result.parent.resolve() in folders:
                name = wanted.path.name
                better = sub.parent / (name if NAME in name else f"{NAME}_{name}")
                raise InputError(
                    f"{wanted.path}: {result} would lie among the frames of a stack, and be one of "
                    f"them when the batch is repeated; write it elsewhere, such as {better}"
                )


def _outcome(
    source: Source,
    pattern: StackJob,
    inputs: Sequence[Path],
    run: Callable[[StackJob], StackDone],
) -> Outcome:
    outputs = [_named(wanted, source.name) for wanted in pattern.outputs]
    job = replace(pattern, outputs=outputs, inputs=inputs)
    try:
        return Outcome(source, run(with_frames(job, source.require_files())), None)
    except ZstackdError as error:
        return Outcome(source, None, str(error))
    except Exception as error:  # noqa: BLE001 - one stack's fault must not end the others
        _LOG.debug("%s: internal error", source.path, exc_info=True)
        what = f"{source.path}: internal error: {type(error).__name__}: {error}"
        return Outcome(source, None, what)


def _named(wanted: Wanted, name: str) -> Wanted:
    return Wanted(wanted.role, Path(str(wanted.path).replace(NAME, name)))
