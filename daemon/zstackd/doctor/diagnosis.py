"""One line of a diagnosis."""

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was looked at, how it is, and what to do (empty where all is well)."""

    subject: str
    level: Level
    finding: str
    remedy: str = ""


def fine(subject: str, finding: str) -> Diagnosis:
    """Return a line that says that all is well."""
    return Diagnosis(subject, Level.OK, finding)


def warning(subject: str, finding: str, remedy: str = "") -> Diagnosis:
    """Return a line on what may go wrong; doubts of a rig file bring their remedy along."""
    return Diagnosis(subject, Level.WARN, finding, remedy)


def failure(subject: str, finding: str, remedy: str = "") -> Diagnosis:
    """Return a line on what cannot work; errors of zstackd bring their remedy along."""
    return Diagnosis(subject, Level.FAIL, finding, remedy)
