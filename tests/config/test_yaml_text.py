"""Text that could hurt is refused in one line, quickly, and YAML 1.1's traps are none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from zstackd_config.load import parse_run
from zstackd_config.yaml_text import MAX_BYTES

if TYPE_CHECKING:
    from tests.config.conftest import Problem, Problems

RUN = "name: a\nz_plan: {bottom: 0, top: 10, step: 1}\n"
"""A valid run; what is appended stands in its line 3."""


LONGEST_S = 20.0
TRIES = 3
"""More than any file takes on a busy machine; what explodes takes minutes."""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "r.yaml:1:1: the file is empty"),
        ("# nothing\n", "r.yaml:1:1: the file is empty"),
        ("- 1\n", "r.yaml:1:1: not a mapping"),
        ("just words\n", "r.yaml:1:1: not a mapping"),
        ("name: a\n\tz_plan: 3\n", "r.yaml:2:1: a tab indents this line; YAML wants spaces"),
        ("name:\ta\nz_plan:\tb\n", "r.yaml:1:6: a tab stands before this value; YAML wants spaces"),
        (f"{RUN}name: b\n", "r.yaml:3:1: key 'name' is given twice, first in line 1; keep one"),
        ("a: 1\n---\nb: 1\n", "r.yaml:2:1: a second document begins here"),
        (f"{RUN}metadata: {{a: !!python/object:os.system x}}", "r.yaml:3:15: the tag"),
        (f"{RUN}metadata: !!omap [a: 1]", "r.yaml:3:11: the tag"),
        ("a: *nowhere\n", "r.yaml:1:4: found undefined alias 'nowhere'; write an `&` anchor"),
        ("a: 'open\n", "r.yaml:2:1: not valid YAML: found unexpected end of stream"),
        (b"name: \xff\n", "r.yaml:1:7: byte 0xff is not UTF-8 text; save the file as UTF-8"),
        ("é: ü\n".encode() + b"\xe9", "r.yaml:2:1: byte 0xe9 is not UTF-8 text"),
        ("é: é".encode("latin-1"), "r.yaml:1:1: byte 0xe9 is not UTF-8 text"),
        ("name: a".encode("utf-16"), "r.yaml:1:1: the file is UTF-16; save it as UTF-8"),
        ("name: a".encode("utf-16-le"), "r.yaml:1:1: the file is UTF-16; save it as UTF-8"),
        ("name: a".encode("utf-16-be"), "r.yaml:1:1: the file is UTF-16; save it as UTF-8"),
        (b"name: a\x00b\n", "r.yaml:1:8: character U+0000 is not allowed in YAML"),
        (f'{RUN}metadata: {{a: "\\0"}}', "r.yaml:3:15: '\\x00' cannot be used"),
        (f'{RUN}metadata: {{a: "\\ud800"}}', "r.yaml:3:15: '\\ud800' cannot be used"),
        (f"{RUN}? [1, 2]\n: 3\n", "r.yaml:3:3: this key is no word; quote it"),
        ("a: " + "[" * 100 + "]" * 100, "r.yaml:1:44: nested deeper than 40 levels"),
        ("a: &a [*a]", "nested deeper than 40 levels"),
        ("#" * (MAX_BYTES + 1), "more than 1048576 bytes are too many for a YAML file"),
    ],
)
def test_text_that_could_hurt_is_refused_in_one_line(
    text: str | bytes, said: str, problem: Problem
) -> None:
    assert said in problem(text)


def test_what_is_left_out_does_not_hide_what_else_is_wrong(problems: Problems) -> None:
    assert [line.split(": ")[0] for line in problems(f"{RUN}name: b\nstackin: {{}}\n")] == [
        "r.yaml:3:1",
        "r.yaml:4:1",
    ]


def test_anchors_that_explode_are_refused(problem: Problem) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "the file explodes" in problem("\n".join(lines))


def test_very_many_problems_end_in_a_count(problems: Problems) -> None:
    found = problems(RUN + "".join(f"k{n}: 1\n" for n in range(150)))
    assert len(found) == 101
    assert found[-1].startswith("r.yaml:103:1: 50 problems more from here on")


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n" * (MAX_BYTES // 5),
        "{" + "a," * (MAX_BYTES // 2 - 2) + "}",
        "[" * MAX_BYTES,
        "- " * (MAX_BYTES // 2),
        "a: " + "x " * (MAX_BYTES // 2 - 4),
        "%a\n" * (MAX_BYTES // 3),
        "[a " + "\n a" * (MAX_BYTES // 3 - 5),
        "a: |\n" + " x\n" * (MAX_BYTES // 3 - 4),
    ],
    ids=["keys", "flow", "brackets", "dashes", "words", "directives", "open list", "block"],
)
def test_a_megabyte_of_anything_is_judged_soon(text: str, problems: Problems) -> None:
    """By its own processor time; even that is longer on a busy machine, which gets more tries."""
    took_s: list[float] = []
    while len(took_s) < TRIES and not any(each < LONGEST_S for each in took_s):
        begun_s = time.thread_time()
        assert problems(text)
        took_s.append(time.thread_time() - begun_s)
    assert took_s[-1] < LONGEST_S, took_s


def test_scalars_are_those_of_yaml_1_2() -> None:
    run = parse_run(f"{RUN}metadata: {{a: no, b: 1:30, c: 2026-11-24, d: 1e3, e: 0o7}}", name="r")
    assert run.metadata == {"a": "no", "b": "1:30", "c": "2026-11-24", "d": 1000.0, "e": "0o7"}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1:30", "'1:30' is not a number; it is no number here, though YAML 1.1 reads 90"),
        ('"1,5"', "'1,5' is not a number; write a point: 1.5"),
        ("0x1F", "write it in decimal: 31"),
        ("0o17", "write it in decimal: 15"),
        ("12 ms", "write the number alone: 12; it is taken as ms"),
        ("12ms", "write the number alone: 12; it is taken as ms"),
        ("0.3 s", "write the number alone, in ms: 300"),
        ("250 µs", "write the number alone, in ms: 0.25"),
        ("12 px", "write the number alone: 12; it is taken as ms"),
        ("soon", "'soon' is not a number; write a number of ms, such as 1.5"),
        ("true", "true is a switch; write a number"),
        ("on", "'on' is not a number"),
        (".inf", "inf ms is not a finite number"),
        ("null", "nothing is not a number"),
    ],
)
def test_what_is_no_number_is_explained(written: str, said: str, problem: Problem) -> None:
    text = f"{RUN}exposure: {{mode: manual, exposure_time_ms: {written}}}"
    assert problem(text).startswith("r.yaml:3:44: exposure.exposure_time_ms: ")
    assert said in problem(text)


@pytest.mark.parametrize("written", ["soon", '"1,5"', '"1.5"'])
def test_a_whole_one_is_suggested_for_a_whole_number(written: str, problem: Problem) -> None:
    said = problem(f"{RUN}time_plan: {{interval: 5, loops: {written}}}")
    assert said.endswith("is not a whole number; write a whole number, such as 2")


@pytest.mark.parametrize("written", ["off", "no", "false", "False"])
def test_words_for_a_switch_are_taken_where_a_switch_is_wanted(written: str) -> None:
    assert parse_run(f"{RUN}stacking: {{align: {written}}}", name="r").stacking.align is False


@pytest.mark.parametrize("name", ["no", "on", "1:30", "2026-11-24", "0x1F"])
def test_a_name_stays_as_it_is_written(name: str) -> None:
    assert parse_run(RUN.replace("a", name, 1).replace("n" + name, "na"), name="r").name


def test_a_byte_order_mark_and_windows_lines_are_borne() -> None:
    assert parse_run(b"\xef\xbb\xbf" + RUN.replace("\n", "\r\n").encode(), name="r").name == "a"


def test_harmless_anchors_are_borne() -> None:
    run = parse_run(f"{RUN}metadata: {{a: &x [1, 2], b: *x}}", name="r")
    assert run.metadata == {"a": [1, 2], "b": [1, 2]}
