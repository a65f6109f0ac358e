"""What a Sangaboard says: every command is answered by one line, and each has its own form.

Source: the board's firmware, `arduino_code` for 0.4 and 0.5 and `sangaboard-firmware` for 1.0.
"""

import re

VERSION = re.compile(
    r"(?:Sangaboard Firmware|OpenFlexure Motor Board) v([0-9]{1,4})\.([0-9]{1,4})\S*"
)
DONE = re.compile(r"done\.?")
POSITION = re.compile(r"-?[0-9]{1,10} -?[0-9]{1,10} (-?[0-9]{1,10})")
FLAG = re.compile(r"(true|false)")
STOPPED = re.compile(r"Move aborted|done\.?|stopped")
STEP_DELAY = re.compile(r"minimum step delay ([0-9]{1,9})")
RAMP_TIME = re.compile(r"ramp[ _]time ([0-9]{1,9})")
BLOCKING = re.compile(r"blocking_moves (true|false)")
END = re.compile(r"--END--")

END_STOPS = re.compile(r"Endstops:((?: (?:min|max|soft))*)")
HIT = re.compile(r"Endstop hit: ?(-?[0-9])")

_REFUSAL = re.compile(
    r"(?:Type 'help'|Command not recognised|Invalid command|Bad command|Error:).*"
)


def is_refusal(line: str) -> bool:
    """Return whether the board did not understand a command, or would not obey it."""
    return _REFUSAL.fullmatch(line) is not None
