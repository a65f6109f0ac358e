"""Answers of the system's own programs, where they are there."""

import shutil
import subprocess
from collections.abc import Sequence

_TIMEOUT_S = 10


def answer(words: Sequence[str]) -> str | None:
    """Return what a program prints, stripped; None where it is missing, fails or hangs."""
    program = shutil.which(words[0])
    if program is None:
        return None
    try:
        done = subprocess.run(  # the words are constants of the checks
            [program, *words[1:]],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 or done.stdout.strip() else None
