"""How the folders of a rig may lie to each other: spool and results keep apart."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zstackd_config.errors import InputError

_PARTS: Final = (".", "inbox", "runs", "series")
"""What of the spool may be elsewhere, by a symbolic link."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the paths of a rig file are relative to.

    `follow`: whether symbolic links are followed, as far as they exist. That asks file systems, of
    which one may be a share whose server does not answer.
    """

    folder: Path = Path()
    follow: bool = False

    def written(self, path: Path) -> Path:
        """Return where a path leads by its words alone."""
        return Path(os.path.normpath((self.folder / path).absolute()))

    def place(self, path: Path) -> Path:
        """Return where a path leads."""
        return Path(os.path.realpath(self.folder / path)) if self.follow else self.written(path)


def entangled(state: Path, output: Path, ground: Ground) -> str | None:
    """Return what is wrong with where the output folder lies; None where nothing is.

    Results within the spool would lie among what is its own; a spool among the results is taken for
    one of them, and away. Consumers leave hidden folders alone, so it may be in one of those.
    """
    results = ground.place(output)
    led = "" if results == ground.written(output) else f"leads to {results}, "
    for part in _PARTS:
        named = state / part
        spool = ground.place(named)
        if results == spool or spool in results.parents:
            return f"{led}within the spool {named}; name a folder beside it"
        if results in spool.parents and not spool.relative_to(results).parts[0].startswith("."):
            return (
                f"{led}holds the spool {named}, which would be taken for a result; name a folder "
                "beside it"
            )
    return None


def require_apart(state: Path, output: Path) -> None:
    """Raise InputError where the folders of a command line are not apart, links followed."""
    said = entangled(state, output, Ground(follow=True))
    if said is not None:
        raise InputError(f"{output}: {said}")
