"""Facts of a run's journal as people read them."""

from typing import Any

import pytest

from zstackd.commands.facts import facts_text
from zstackd.commands.logs import entry_text
from zstackd.commands.wording import span


def test_facts_are_told_with_their_units() -> None:
    facts = {"plane": 3, "z_um": 12.34567, "exposure_time_ms": 8.0, "late_s": 0.25}
    assert facts_text(facts) == "plane 3, z 12.35 µm, exposure time 8 ms, late 0.25 s"


def test_sizes_are_told_as_people_read_them() -> None:
    assert facts_text({"bytes": 303_000, "frame_bytes": 900}) == "0.3 MB, frame 0.9 kB"


def test_long_lists_are_told_by_their_length_short_ones_by_their_values() -> None:
    facts = {"planes_um": [0, 1, 2, 3], "colour_gains": [1.5, 2.25]}
    assert facts_text(facts) == "4 planes, colour gains 1.5 2.25"


def test_what_only_programs_need_is_left_out() -> None:
    facts: dict[str, Any] = {
        "sha256": "0f",
        "place": "1:2",
        "run": "x",
        "camera": {"bits": 8},
        "reason": None,
        "warnings": [],
    }
    assert facts_text(facts | {"hook": True, "partial": False}) == ""


def test_what_happened_is_told_without_true() -> None:
    assert facts_text({"partial": True, "reason": "cut\nshort"}) == "partial, cut short"


def test_a_hook_is_told_by_its_name() -> None:
    facts = {"hook": "after", "status": 0, "seconds": 1.5}
    assert facts_text(facts) == "hook after, status 0, 1.5 s"


def test_a_runs_log_has_all_that_a_hook_printed_at_its_end() -> None:
    output = "\n".join(f"file {number} sent" for number in range(80)) + "\nfailed: 403"
    entry = {"at": "2026-11-28T08:00:00+00:00", "event": "hook", "status": 3, "output": output}
    text = entry_text(entry)
    assert text.endswith("file 79 sent failed: 403")
    assert "\n" not in text


def test_long_texts_end_with_dots() -> None:
    assert facts_text({"output": "x" * 200}, most=20) == "output xxxxxxxxxxxx…"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(59.7, "1 min 0 s"), (4203.0, "1 h 10 min"), (172_803.0, "2 d 0 h")],
)
def test_durations_are_told_in_their_two_largest_units(seconds: float, said: str) -> None:
    assert span(seconds) == said
