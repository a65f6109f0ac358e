"""What Marlin says: each line of the controller parsed into one of a few kinds.

Source: the firmware's own `queue.cpp`, `M114.cpp`, `M211.cpp` and `language.h`, versions 1.1 to
2.1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

QUICK_STOP = b"\nM410\n"

_NUMBER = r"-?[0-9]{1,9}(?:\.[0-9]{1,6})?"
_OK = re.compile(r"ok(?: [ -~]*)?")
_RESEND = re.compile(r"(?:Resend: ?|rs N?)([0-9]{1,9})")
_POSITION = re.compile(
    rf"X: ?{_NUMBER} Y: ?{_NUMBER} Z: ?({_NUMBER})(?: .*)? "
    r"Count [XA]: ?-?[0-9]{1,9} [YB]: ?-?[0-9]{1,9} [ZC]: ?(-?[0-9]{1,9})(?: .*)?"
)
_SETTING = re.compile(rf"(?:echo:)? *(M[0-9]{{1,4}})((?: [A-Z]{_NUMBER})+)(?: *;.*)?")
_WORD = re.compile(rf"([A-Z])({_NUMBER})")
_END_STOPS = re.compile(
    rf"(?:echo:)? *Soft endstops: *(ON|On|OFF|Off) *Min: *.*?Z({_NUMBER}) *Max: *.*?Z({_NUMBER}).*"
)
_VERSION = re.compile(r"FIRMWARE_NAME: ?(Marlin[ -~]*)")
_REFUSAL = re.compile(r"echo:.*(?:Unknown command|[Hh]ome .*[Ff]irst|must be homed).*")
_LAST_LINE = re.compile(r"Error:.*Last Line: ?[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Ok:
    """The answer to one line."""


@dataclass(frozen=True, slots=True)
class Resend:
    """The other answer to one line: it came spoilt, and `number` is the one wanted next."""

    number: int


@dataclass(frozen=True, slots=True)
class Position:
    """M114: the height in millimetres, as G-code has it, and in steps from machine zero."""

    z: float
    count: int


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of M503."""

    command: str
    words: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class EndStops:
    """M211: whether targets are clamped, and to what range in millimetres."""

    active: bool
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Version:
    """M115: the firmware's words on itself."""

    text: str


@dataclass(frozen=True, slots=True)
class Busy:
    """A command takes its time."""


@dataclass(frozen=True, slots=True)
class Start:
    """The first word after a reset."""


@dataclass(frozen=True, slots=True)
class SpoiltLine:
    """A line came spoilt; a `Resend` follows."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The controller stopped itself."""

    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command was answered by `ok`, and yet not executed."""

    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A line that tells nothing."""

    text: str


Line = (
    Ok | Resend | Position | Setting | EndStops | Version | Busy | Start | SpoiltLine | Failure
    | Refusal | Unknown
)  # fmt: skip


def numbered(number: int, command: str) -> str:
    """Return a command as line `number`, with the checksum that Marlin verifies."""
    line = f"N{number} {command}"
    checksum = 0
    for byte in line.encode("ascii"):
        checksum ^= byte
    return f"{line}*{checksum}"


def is_reply(line: str) -> bool:
    """Return whether `line` answers a command, rather than being told beside it."""
    return isinstance(parse(line), Ok | Resend)


def parse(line: str) -> Line:
    """Parse one line without its end; any text is accepted, noise becomes `Unknown`."""
    if _OK.fullmatch(line):
        return Ok()
    if match := _RESEND.fullmatch(line):
        return Resend(int(match[1]))
    if match := _POSITION.fullmatch(line):
        return Position(float(match[1]), int(match[2]))
    return _parse_event(line) or _parse_text(line)


def _parse_event(line: str) -> Line | None:
    if line == "start":
        return Start()
    if line.startswith("echo:busy:"):
        return Busy()
    if _LAST_LINE.fullmatch(line):
        return SpoiltLine()
    if line.startswith(("Error:", "!!")):
        return Failure(line.removeprefix("Error:").strip())
    return None


def _parse_text(line: str) -> Line:
    if match := _SETTING.fullmatch(line):
        words = {letter: float(number) for letter, number in _WORD.findall(match[2])}
        return Setting(match[1], words)
    if match := _END_STOPS.fullmatch(line):
        return EndStops(match[1].upper() == "ON", float(match[2]), float(match[3]))
    if match := _VERSION.fullmatch(line):
        return Version(match[1])
    if _REFUSAL.fullmatch(line):
        return Refusal(line.removeprefix("echo:"))
    return Unknown(line)
