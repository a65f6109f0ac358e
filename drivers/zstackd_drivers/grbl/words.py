"""The words of a G-code line, as far as a focus axis needs them."""

import re
from dataclasses import dataclass, replace

_WORD = re.compile(r"([A-Z])(-?(?:\d+\.?\d*|\.\d+))")
_MM_PER_INCH = 25.4


class Refused(Exception):
    """The line is answered by `error:<code>`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class MotionWords:
    """One block: a height and a feed in millimetres, or a dwell; the modes carry over.

    `machine` (G53, for this block alone): the height is one of the machine, not of the workspace.
    """

    z: float | None = None
    feed: float | None = None
    dwell_s: float | None = None
    machine: bool = False
    absolute: bool = True
    inches: bool = False
    rapid: bool = True


def parse_motion(text: str, modes: MotionWords, *, jog: bool) -> MotionWords:
    """Parse one block; raises Refused with GRBL's error code."""
    words = _words(text)
    feed = None if jog else modes.feed
    block = replace(modes, z=None, dwell_s=None, machine=False, feed=feed)
    dwell = False
    for letter, number in words:
        if letter == "G" and number == 4 and not jog:  # noqa: PLR2004
            dwell = True
        elif letter == "G":
            block = _mode(block, number, jog=jog)
    for letter, number in words:
        block = _value(block, letter, number, dwell=dwell)
    return _checked(block, words, jog=jog)


def _words(text: str) -> list[tuple[str, float]]:
    matches = list(_WORD.finditer(text))
    if "".join(match[0] for match in matches) != text:
        raise Refused(1 if not text[:1].isalpha() else 2)
    return [(match[1], float(match[2])) for match in matches]


def _mode(block: MotionWords, number: float, *, jog: bool) -> MotionWords:
    changes: dict[float, dict[str, bool]] = {
        20: {"inches": True}, 21: {"inches": False},
        90: {"absolute": True}, 91: {"absolute": False}, 53: {"machine": True},
    }  # fmt: skip
    if not jog:
        changes |= {0: {"rapid": True}, 1: {"rapid": False}, 54: {}, 94: {}, 17: {}}
    if number not in changes:
        raise Refused(16 if jog else 20)
    return replace(block, **changes[number])


def _value(block: MotionWords, letter: str, number: float, *, dwell: bool) -> MotionWords:
    unit = _MM_PER_INCH if block.inches else 1.0
    if letter == "Z":
        return replace(block, z=number * unit)
    if letter == "F":
        return replace(block, feed=number * unit)
    if letter == "P" and dwell:
        return replace(block, dwell_s=number)
    if letter not in "GXYNMS":
        raise Refused(20)
    return block


def _checked(block: MotionWords, words: list[tuple[str, float]], *, jog: bool) -> MotionWords:
    if jog and not any(letter in "XYZ" for letter, _ in words):
        raise Refused(26)
    if block.z is not None and not block.feed and (jog or not block.rapid):
        raise Refused(22)
    return block
