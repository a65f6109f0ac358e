"""Every line Marlin sends is understood, whatever its version, and no bytes can harm the reader."""

from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.hearsay import FOCUS, SETTING, check_machine, check_unharmed, lines_around

from zstackd_config.focus import MarlinFocus
from zstackd_drivers.errors import WrongDeviceError
from zstackd_drivers.marlin.hearing import MarlinHearing
from zstackd_drivers.marlin.protocol import (
    Busy,
    EndStops,
    Failure,
    Line,
    Ok,
    Position,
    Refusal,
    Resend,
    Setting,
    SpoiltLine,
    Start,
    Unknown,
    Version,
    is_reply,
    numbered,
    parse,
)
from zstackd_drivers.marlin.settings import MarlinSettings

LOOKS_RIGHT = ":. +-" + ascii_letters + digits


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("ok", Ok()),
        ("ok P15 B3", Ok()),
        ("ok N12 P15 B3", Ok()),
        ("ok T:201.3 /205.0 B:59.9 /60.0 @:127 B@:0", Ok()),
        ("Resend: 12", Resend(12)),
        ("rs N12", Resend(12)),
        ("start", Start()),
        ("echo:busy: processing", Busy()),
        ("echo:busy: paused for user", Busy()),
        ("X:0.00 Y:0.00 Z:1.25 E:0.00 Count X:0 Y:0 Z:500", Position(1.25, 500)),
        ("X:0.00 Y:0.00 Z:-1.25 E:0.00 Count X: 0 Y:0 Z:-500", Position(-1.25, -500)),
        ("X:0.00 Y:0.00 Z:1.25 E:0.00 Count A:10 B:20 Z:500", Position(1.25, 500)),
        (
            "echo: M92 X80.00 Y80.00 Z400.00 E93.00",
            Setting("M92", {"X": 80, "Y": 80, "Z": 400, "E": 93}),
        ),
        ("echo:  M203 X300.00 Z5.00", Setting("M203", {"X": 300.0, "Z": 5.0})),
        ("  M204 P500.00 T1000.00 ; accel", Setting("M204", {"P": 500.0, "T": 1000.0})),
        (
            "echo:Soft endstops: ON  Min: X0.00 Y0.00 Z-1.00  Max: X200.00 Y200.00 Z180.00",
            EndStops(True, -1.0, 180.0),
        ),
        (
            "echo:Soft endstops: Off  Min:  X0.00 Y0.00 Z0.00   Max:  X9.00 Y9.00 Z9.00",
            EndStops(False, 0.0, 9.0),
        ),
        (
            "FIRMWARE_NAME:Marlin 1.1.9 (Github) PROTOCOL_VERSION:1.0",
            Version("Marlin 1.1.9 (Github) PROTOCOL_VERSION:1.0"),
        ),
        ("Error:checksum mismatch, Last Line: 4", SpoiltLine()),
        ("Error:Line Number is not Last Line Number+1, Last Line: 4", SpoiltLine()),
        ("Error:Printer halted. kill() called!", Failure("Printer halted. kill() called!")),
        ("!! kill", Failure("!! kill")),
        ('echo:Unknown command: "M999999"', Refusal('Unknown command: "M999999"')),
        ("echo:Home XY First", Refusal("Home XY First")),
        ("FIRMWARE_NAME:Repetier_1.0.4", None),
        ("okok", None),
        ("ok\ufffd", None),
        ("X:0.00 Y:0.00 Z:1.x5 E:0.00 Count X:0 Y:0 Z:500", None),
        ("X:0.00 Y:0.00 Z:1.25 E:0.00 Count X:0 Y:0 Z:", None),
        ("Resend: ٣", None),
        ("", None),
    ],
)
def test_lines(line: str, meaning: Line | None) -> None:
    assert parse(line) == (meaning or Unknown(line))
    assert is_reply(line) == isinstance(meaning, Ok | Resend)


def test_a_numbered_line_has_the_checksum_that_other_hosts_send() -> None:
    assert numbered(1, "M115") == "N1 M115*39"


@given(st.text(max_size=200) | st.text(LOOKS_RIGHT, max_size=80))
def test_any_text_is_one_line_of_some_kind(text: str) -> None:
    assert isinstance(parse(text), Line)


WORDS = [
    "ok",
    "start",
    "Error:",
    "Resend: ",
    "echo:",
    "X:0.00 Y:0.00 Z:",
    "Count X:0 Y:0 Z:",
    "M92 Z",
]


@given(lines_around(WORDS))
def test_no_lines_can_harm_the_hearing(lines: list[str]) -> None:
    faults: list[str] = []
    check_unharmed(MarlinHearing(faults.append, busy_s=1.0), faults, lines)


NEEDED = {f"M{number}": st.fixed_dictionaries({"Z": SETTING.map(abs)}) for number in (92, 201, 203)}
TOLD = st.fixed_dictionaries(
    NEEDED,
    optional={
        "M204": st.dictionaries(st.sampled_from("ST"), SETTING),
        "M205": st.fixed_dictionaries({"Z": SETTING}),
    },
)


@given(TOLD, st.none() | st.builds(EndStops, st.booleans(), SETTING, SETTING))
def test_any_settings_make_a_machine_or_are_refused(
    told: dict[str, dict[str, float]], end_stops: EndStops | None
) -> None:
    focus = MarlinFocus(driver="marlin", **FOCUS)
    try:
        machine = MarlinSettings.judged(told, end_stops, "Marlin").machine(focus)
    except WrongDeviceError:
        return
    check_machine(machine)
