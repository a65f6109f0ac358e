"""Every line GRBL sends is understood, and no bytes can harm the reader."""

from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.hearsay import FOCUS, SETTING, check_machine, check_unharmed, lines_around

from zstackd_config.focus import GrblFocus
from zstackd_drivers.errors import WrongDeviceError
from zstackd_drivers.grbl.hearing import GrblHearing
from zstackd_drivers.grbl.protocol import (
    Alarm,
    Banner,
    Line,
    Message,
    Reply,
    Setting,
    Status,
    Unknown,
    is_reply,
    parse,
)
from zstackd_drivers.grbl.settings import GrblSettings

LOOKS_RIGHT = "<>[]$|:.,=-" + ascii_letters + digits


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("ok", Reply(None)),
        ("error:15", Reply(15)),
        ("ALARM:1", Alarm(1)),
        ("Grbl 1.1h ['$' for help]", Banner("1.1h")),
        ("[MSG:Reset to continue]", Message("MSG:Reset to continue")),
        ("$102=250.000", Setting(102, 250.0)),
        ("$102=250.000 (z, step/mm)", Setting(102, 250.0)),
        (
            "<Idle|MPos:0.000,0.000,-1.250|FS:0,0|WCO:0.000,0.000,2.000>",
            Status("Idle", -1.25, None, 2.0),
        ),
        ("<Jog|FS:60,0|Pn:Z|WPos:1.000,2.000,3.000>", Status("Jog", None, 3.0, None)),
        ("<Hold:0|Bf:15,128|MPos:0.000,0.000,0.001>", Status("Hold:0", 0.001, None, None)),
        ("<Idle|MPos:0.000,0.000,-1.2x0|FS:0,0>", None),
        ("<Idle|MPos:0.000,0.000|FS:0,0>", None),
        ("<Idle|MPos:nan,nan,nan>", None),
        ("okok", None),
        ("error:", None),
        ("error:٣", None),
        ("echo:Marlin 2.1", None),
    ],
)
def test_lines(line: str, meaning: Line | None) -> None:
    assert parse(line) == (meaning or Unknown(line))
    assert is_reply(line) == isinstance(meaning, Reply)


@given(st.text(max_size=200) | st.text(LOOKS_RIGHT, max_size=60))
def test_any_text_is_one_line_of_some_kind(text: str) -> None:
    assert isinstance(parse(text), Line)


WORDS = [
    "ok",
    "error:",
    "ALARM:",
    "Grbl 1.1",
    "[MSG:",
    "[VER:",
    "<Idle|",
    "MPos:0.000,0.000,",
    "$102=",
]


@given(lines_around(WORDS))
def test_no_lines_can_harm_the_hearing(lines: list[str]) -> None:
    faults: list[str] = []
    heard = GrblHearing(faults.append)
    check_unharmed(heard, faults, lines)
    assert heard.status() is None or "<" in "".join(lines)


POSITIVE = (24, 25, 102, 112, 122)
DUMPS = st.fixed_dictionaries(
    dict.fromkeys((1, 10, 13, 20, 22, 27, 132), SETTING)
    | {number: SETTING.map(abs) for number in POSITIVE}
)


@given(DUMPS)
def test_any_settings_make_a_machine_or_are_refused(dump: dict[int, float]) -> None:
    try:
        machine = GrblSettings.judged(dump, "GRBL").machine(GrblFocus(driver="grbl", **FOCUS))
    except WrongDeviceError:
        return
    check_machine(machine)
