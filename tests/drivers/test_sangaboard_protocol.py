"""Each answer of a Sangaboard has its form, and no line can harm whoever hears it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.hearsay import check_unharmed

from zstackd_drivers.sangaboard import protocol as says
from zstackd_drivers.sangaboard.hearing import SangaboardHearing

FORMS = [form for form in vars(says).values() if isinstance(form, re.Pattern)]


@pytest.mark.parametrize(
    ("form", "line", "words"),
    [
        (says.VERSION, "Sangaboard Firmware v1.0.1", ("1", "0")),
        (says.VERSION, "Sangaboard Firmware v1.0-beta", ("1", "0")),
        (says.VERSION, "OpenFlexure Motor Board v0.4", ("0", "4")),
        (says.POSITION, "0 -12 3400", ("3400",)),
        (says.POSITION, "0 0 -5", ("-5",)),
        (says.DONE, "done.", ()),
        (says.DONE, "done", ()),
        (says.FLAG, "true", ("true",)),
        (says.STEP_DELAY, "minimum step delay 1000", ("1000",)),
        (says.RAMP_TIME, "ramp time 0", ("0",)),
        (says.RAMP_TIME, "ramp_time 200000", ("200000",)),
        (says.BLOCKING, "blocking_moves false", ("false",)),
        (says.HIT, "Endstop hit:-3", ("-3",)),
        (says.END_STOPS, "Endstops: min soft", (" min soft",)),
        (says.POSITION, "0 0", None),
        (says.POSITION, "0 0 1.5", None),
        (says.POSITION, "0 0 ٣", None),
        (says.DONE, "done..", None),
        (says.FLAG, "truefalse", None),
        (says.VERSION, "Sangaboard Firmware v1", None),
    ],
)
def test_forms(form: re.Pattern[str], line: str, words: tuple[str, ...] | None) -> None:
    match = form.fullmatch(line)
    assert (match.groups() if match else None) == words


@pytest.mark.parametrize(
    "line",
    ["Type 'help' for a list of commands.", "Command not recognised", "Error: x"],
)
def test_refusals(line: str) -> None:
    assert says.is_refusal(line)
    assert not says.is_refusal("done.")


LINES = st.text(max_size=60) | st.sampled_from(
    ["Sangaboard Firmware v1.0.1", "Endstop hit:-3", "Endstops: min soft", "done.", "--END--"]
)


@given(st.lists(LINES, max_size=30))
def test_no_lines_can_harm_the_hearing(lines: list[str]) -> None:
    faults: list[str] = []
    check_unharmed(SangaboardHearing(faults.append), faults, lines)
    for line in lines:
        assert not any(form.fullmatch(line) and says.is_refusal(line) for form in FORMS[:9])
    surprises = {"Sangaboard Firmware v1.0.1", "Endstop hit:-3"}
    assert bool(faults) >= bool(surprises & set(lines))
