"""Warnings of a look that is repeated for months: each is logged when it begins to be true."""

import logging


class Said:
    """What the last looks complained of; what lasts is not said again and again."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._before: set[str] = set()
        self._now: set[str] = set()

    def turn(self) -> None:
        """Begin another look: what the last one did not meet may be said again."""
        self._before, self._now = self._now, set()

    def warn(self, text: str, *, topic: str | None = None) -> None:
        """Log a warning, unless this look or the last one said the same, or was on the topic."""
        said = text if topic is None else topic
        if said not in self._before | self._now:
            self._log.warning("%s", text)
        self._now.add(said)
