"""What GRBL 1.1 says: each line of the controller parsed into one of a few kinds."""

import re
from dataclasses import dataclass

RESET = b"\x18"
STATUS = b"?"
HOLD = b"!"
JOG_CANCEL = b"\x85"

_SETTING = re.compile(r"\$([0-9]{1,3})=(-?[0-9]{1,9}(?:\.[0-9]{1,6})?)(?: \(.*)?")
_NUMBER = re.compile(r"-?[0-9]{1,7}\.[0-9]{1,6}")
_BANNER = re.compile(r"Grbl (\S+) \[.*")
_CODE = re.compile(r"[0-9]{1,3}")
_AXES = 3

ERRORS = {
    1: "a word without its letter",
    2: "a number in a wrong format",
    3: "a $ command it does not know",
    5: "homing is not enabled ($22=0)",
    7: "its EEPROM could not be read",
    8: "the controller is not idle",
    9: "the controller is locked by an alarm",
    10: "soft limits need homing ($22=1)",
    11: "the line was too long",
    13: "the safety door is open",
    15: "the target is beyond the controller's travel ($132)",
    16: "a jog it does not understand",
    22: "a feed rate is missing",
}
ALARMS = {
    1: "hard limit switch",
    2: "soft limit",
    3: "reset while moving",
    6: "homing was reset",
    7: "safety door opened while homing",
    8: "homing could not leave the limit switch",
    9: "homing did not find the limit switch",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one line: `ok`, or an error code."""

    error: int | None

    @property
    def reason(self) -> str:
        """The error in words."""
        return f"error:{self.error}, {ERRORS.get(self.error or 0, 'see the GRBL manual')}"


@dataclass(frozen=True, slots=True)
class Alarm:
    """The controller locked itself."""

    code: int

    @property
    def reason(self) -> str:
        """The alarm in words."""
        return f"ALARM:{self.code}, {ALARMS.get(self.code, 'see the GRBL manual')}"


@dataclass(frozen=True, slots=True)
class Status:
    """A `?` report; positions are the Z axis in controller units, None where not reported."""

    state: str
    machine: float | None
    work: float | None
    offset: float | None


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of `$$`."""

    number: int
    value: float


@dataclass(frozen=True, slots=True)
class Banner:
    """The greeting after a reset."""

    version: str


@dataclass(frozen=True, slots=True)
class Message:
    """Anything in square brackets, without them."""

    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A line that is none of GRBL's."""

    text: str


Line = Reply | Alarm | Status | Setting | Banner | Message | Unknown


def is_reply(line: str) -> bool:
    """Return whether `line` answers a command, rather than being pushed."""
    return isinstance(parse(line), Reply)


def parse(line: str) -> Line:
    """Parse one line without its end; any text is accepted, noise becomes `Unknown`."""
    if line == "ok":
        return Reply(None)
    code = _code(line)
    if code is not None:
        return Reply(code) if line.startswith("error:") else Alarm(code)
    return _parse_push(line)


def _parse_push(line: str) -> Line:
    if line.startswith("<") and line.endswith(">"):
        return _parse_status(line[1:-1]) or Unknown(line)
    if line.startswith("[") and line.endswith("]"):
        return Message(line[1:-1])
    if match := _SETTING.fullmatch(line):
        return Setting(int(match[1]), float(match[2]))
    if match := _BANNER.fullmatch(line):
        return Banner(match[1])
    return Unknown(line)


def _code(line: str) -> int | None:
    head, colon, digits = line.partition(":")
    if head not in {"error", "ALARM"} or not colon:
        return None
    return int(digits) if _CODE.fullmatch(digits) else None


def _parse_status(body: str) -> Status | None:
    state, *fields = body.split("|")
    positions: dict[str, float] = {}
    for field in fields:
        name, _, values = field.partition(":")
        if name in {"MPos", "WPos", "WCO"}:
            height = _height(values)
            if height is None:
                return None
            positions[name] = height
    if not re.fullmatch(r"[A-Z][a-z]+(:[0-9])?", state):
        return None
    return Status(state, positions.get("MPos"), positions.get("WPos"), positions.get("WCO"))


def _height(values: str) -> float | None:
    numbers = values.split(",")
    if len(numbers) < _AXES or not all(_NUMBER.fullmatch(number) for number in numbers):
        return None
    return float(numbers[_AXES - 1])
