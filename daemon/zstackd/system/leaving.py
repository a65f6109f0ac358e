"""The end of a process some of whose threads are in the middle of something."""

import logging
import os
import sys
import threading
from collections.abc import Callable


class WorkThread(threading.Thread):
    """A thread that nobody waits for at the end of the process."""

    def __init__(self, target: Callable[[], None], *, name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)


def leave(status: int) -> int:
    """Return `status`, or end the process with it at once where threads are still at work.

    Python ends threads where they next ask for its lock. In the middle of a native library that is
    an exception which C++ answers by aborting the process, after everything had gone well.
    """
    if any(isinstance(thread, WorkThread) for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status
