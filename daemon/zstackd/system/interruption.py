"""Ctrl-C, remembered: compiled code that it meets while it is imported makes other errors of it."""

import signal
from types import FrameType
from typing import Final

_heard: Final[list[int]] = []


def heed(number: signal.Signals) -> None:
    """Let a signal interrupt the program, unless whoever started it wants it ignored."""
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, _interrupt)


def was_interrupted() -> bool:
    """Whether such a signal has come."""
    return bool(_heard)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _heard.append(number)
    raise KeyboardInterrupt
