"""Completion of words in a shell: which command is being completed.

The shell starts the program with the words typed so far in the environment and none in `argv`
(the protocol of typer's completion scripts); the command's module is found by those.
"""

from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "_ZSTACKD_COMPLETE"


def word_in_completion(environment: Mapping[str, str]) -> str | None:
    """Return the command that was typed; None where none is, or nothing is to be completed."""
    if VARIABLE not in environment:
        return None
    typed = environment.get("COMP_WORDS") or environment.get("_TYPER_COMPLETE_ARGS") or ""
    # The last word may still be incomplete, the first is the program.
    finished = typed.split()[1:] if typed.endswith((" ", "\n")) else typed.split()[1:-1]
    return next((word for word in finished if not word.startswith("-")), None)
