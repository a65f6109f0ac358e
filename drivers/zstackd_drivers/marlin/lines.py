"""Commands to Marlin as numbered lines with checksums: a spoilt one is not obeyed but repeated."""

import time

from zstackd_config.errors import Interrupted
from zstackd_drivers.errors import LinkError
from zstackd_drivers.marlin.hearing import MarlinHearing
from zstackd_drivers.marlin.protocol import Resend, is_reply, numbered, parse
from zstackd_drivers.serial.dialogue import Dialogue
from zstackd_drivers.stepping.controller import Stopped

_TRIES = 3


class NumberedLines:
    """Counts as the firmware counts, so that a restart, or a line lost, does not go unnoticed."""

    def __init__(self, talk: Dialogue, heard: MarlinHearing) -> None:
        self._talk = talk
        self._heard = heard
        self._number = 0

    def begin(self) -> None:
        """Start counting anew, on both sides."""
        self.raw("M110 N0")
        self._number = 0

    def raw(self, command: str) -> None:
        """Send a command without a number, as those must be that act as soon as they are read."""
        self._talk.ask(command, is_reply)

    def do(
        self, command: str, *, at_most_s: float | None = None, stopped: Stopped | None = None
    ) -> None:
        """Send a command until it is answered by `ok`.

        Where `at_most_s` is given, it may take that long, with signs of life in between from a
        firmware that gives any. Raises Interrupted where `stopped()` comes true, LinkError where
        no `ok` comes, MotionError on a disturbance.
        """
        for _ in range(_TRIES):
            self._number += 1
            wanted = self._ask(numbered(self._number, command), at_most_s, stopped)
            if wanted is None:
                return
            self._check_count(wanted)
            self._number -= 1
            # Old versions send an `ok` behind.
            self._talk.wait_quiet()
        raise LinkError(f"{self._talk.name} did not understand {command!r} in {_TRIES} attempts")

    def _ask(self, line: str, at_most_s: float | None, stopped: Stopped | None) -> int | None:
        """Return None for `ok`, else the number of the line that is wanted."""
        limit = time.monotonic() + (at_most_s or 0.0)
        patience_s = at_most_s
        if at_most_s is not None and self._heard.tells_busy:
            patience_s = min(at_most_s, self._talk.timeouts.busy_s)
        answer = self._talk.ask(
            line,
            is_reply,
            timeout_s=patience_s,
            alive_until=lambda: min(limit, self._heard.busy_until),
            unless=stopped,
        )
        if not answer:
            raise Interrupted(f"{self._talk.name} was stopped")
        reply = parse(answer)
        return reply.number if isinstance(reply, Resend) else None

    def _check_count(self, wanted: int) -> None:
        if wanted == self._number:
            return
        with self._talk.condition:
            self._heard.disturb(
                f"{self._talk.name} asks for line {wanted} instead of {self._number}: it "
                "restarted, or lines were lost"
            )
        self._talk.check()
