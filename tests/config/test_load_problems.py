"""Everything that can be wrong with a file, all at once, each in one line with its place."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from zstackd_config.errors import ConfigError, InputError
from zstackd_config.load import load_rig, load_run, parse_run
from zstackd_config.yaml_text import MAX_BYTES

RUN = "name: a\nz_plan: {bottom: 0, top: 10, step: 1}\n"


def problems(text: str | bytes) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse_run(text, name="r.yaml")
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def problem(text: str | bytes) -> str:
    (only,) = problems(text)
    return only


def test_every_problem_is_reported_in_the_order_of_the_file() -> None:
    found = problems(
        "name: ''\n"
        "z_plan: {bottom: 0, top: 10, stpe: 1}\n"
        "exposure: {mode: manual, exposure_time_ms: -2}\n"
        "stacking:\n  align: perhaps\n"
    )
    assert [line.split(": ")[:2] for line in found] == [
        ["r.yaml:1:7", "name"],
        ["r.yaml:2:9", "z_plan.step"],
        ["r.yaml:2:30", "z_plan.stpe"],
        ["r.yaml:3:44", "exposure.exposure_time_ms"],
        ["r.yaml:5:10", "stacking.align"],
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{RUN}stackng: {{}}", "r.yaml:3:1: stackng: unknown key; did you mean 'stacking'?"),
        (f"{RUN}output: {{format: tiff}}", "'tiff' is not possible; did you mean 'tif'?"),
        (f"{RUN}exposure: {{mode: automatic}}", "mode 'automatic' is not possible"),
        (f"{RUN}exposure: {{}}", "key 'mode' is missing; add one of locked_auto, manual"),
        (
            f"{RUN}exposure: {{mode: manual, exposure_time_ms: 0}}",
            "exposure_time_ms: 0 ms is out of bounds; it must be greater than 0 ms",
        ),
        (
            f"{RUN}exposure: {{mode: manual, exposure_time_ms: 12 ms}}",
            "'12 ms' is not a number",
        ),
        ("name: a\n", "z_plan: missing; add it: Planes"),
        ("name: a\nz_plan: {}\n", "r.yaml:2:9: z_plan: not a z-plan; give top, bottom and step"),
        ("name: a\nz_plan: [1, 2]\n", "not a z-plan"),
        ("name: a\nz_plan: {range: 10, step: 0}", "z_plan.step: 0 µm is out of bounds"),
        ("name: a\nz_plan: {range: 10, step: .nan}", "z_plan.step: nan µm is not a finite number"),
        ("name: a\nz_plan: {range: 1e6, step: 0.01}", "100000001 planes are too many"),
        ("name: a\nz_plan: {bottom: 5, top: 0, step: 1}", "`top` must not lie below `bottom`"),
        ("name: a\nz_plan: {absolute: []}", "z_plan.absolute: a list of 0 is too short"),
        ("name: a\nz_plan: {absolute: [1, x]}", "z_plan.absolute[1]: 'x' is not a number"),
        ("name: 1:30\nz_plan: {range: 2}", "z_plan.step: missing"),
        ("name: [a]\nz_plan: {range: 2, step: 1}", "name: a list of 1 is not text"),
    ],
)  # fmt: skip
def test_wrong_values_say_what_and_what_to_do(text: str, said: str) -> None:
    assert said in problem(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "r.yaml:1:1: the file is empty"),
        ("# nothing\n", "r.yaml:1:1: the file is empty"),
        ("- 1\n", "r.yaml:1:1: not a mapping"),
        ("name: a\n\tz_plan: 3\n", "r.yaml:2:1: a tab indents this line; YAML wants spaces"),
        ("name: a\nname: b\n", "r.yaml:2:1: key 'name' is given twice; the first is in line 1"),
        ("a: 1\n---\nb: 1\n", "r.yaml:2:1: a second document begins here"),
        ("a: !!python/object:os.system x\n", "r.yaml:1:4: the tag"),
        ("a: *nowhere\n", "r.yaml:1:4: found undefined alias"),
        ("a: 'open\n", "not valid YAML"),
        (b"name: \xff\n", "r.yaml:1:7: byte 0xff is not UTF-8 text; save the file as UTF-8"),
        ("name: a".encode("utf-16"), "is not UTF-8 text"),
        (b"name: a\x00b\n", "r.yaml:1:8: character U+0000 is not allowed in YAML"),
        ('name: "\\0"\n', "cannot be used as a value"),
        ('name: "\\ud800"\n', "cannot be used as a value"),
        ("a: " + "[" * 100 + "]" * 100, "nested deeper than 40 levels"),
        ("[" * 50_000, "nested deeper than 40 levels"),
        ("#" * (MAX_BYTES + 1), "bytes are too many for a YAML file; at most 1048576"),
        ("? [1, 2]\n: 3\n", "r.yaml:1:3: this key is no word; quote it"),
    ],
)
def test_text_that_could_hurt_is_refused_in_one_line(text: str | bytes, said: str) -> None:
    assert said in problem(text)


def test_anchors_that_explode_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "the file explodes" in problem("\n".join(lines))


def test_scalars_are_those_of_yaml_1_2() -> None:
    run = parse_run(f"{RUN}metadata: {{a: no, b: 1:30, c: 2026-11-24, d: 1e3, e: 0o7}}", name="r")
    assert run.metadata == {"a": "no", "b": "1:30", "c": "2026-11-24", "d": 1000.0, "e": "0o7"}


def test_a_byte_order_mark_and_windows_lines_are_borne() -> None:
    assert parse_run(b"\xef\xbb\xbf" + RUN.replace("\n", "\r\n").encode(), name="r").name == "a"


def test_harmless_anchors_are_borne() -> None:
    run = parse_run(f"{RUN}metadata: {{a: &x [1, 2], b: *x}}", name="r")
    assert run.metadata == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize("load", [load_rig, load_run])
def test_what_is_no_file_is_refused(load: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load(tmp_path / "missing.yaml")
    with pytest.raises(InputError, match="not a regular file"):
        load(tmp_path)
    with pytest.raises(InputError, match="not a regular file"):
        load(Path("/dev/zero"))


def rig_with(tmp_path: Path, **sections: Any) -> Path:
    rig: dict[str, Any] = {
        "name": "bench",
        "camera": {"driver": "simulated"},
        "optics": {"pixel_size_um": 1, "numerical_aperture": 0.2, "magnification": 4},
        "focus": {
            "driver": "grbl",
            "port": "simulated",
            "limits_um": [0, 100],
            "backlash_um": 5,
            "speed_um_per_s": 100,
            "settle_ms": 10,
        },
        "paths": {"state": "state", "output": "/output"},
    }
    for name, values in sections.items():
        rig[name] = {**rig.get(name, {}), **values}
    path = tmp_path / "rig.yaml"
    path.write_text(yaml.safe_dump(rig))
    return path


def test_relative_paths_are_taken_from_the_rig_file(tmp_path: Path) -> None:
    rig = load_rig(rig_with(tmp_path, camera={"driver": "folder", "path": "frames"}))
    assert rig.paths.state == tmp_path / "state"
    assert rig.paths.output == Path("/output")
    assert rig.camera.path == tmp_path / "frames"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("focus", "said"),
    [
        ({"limits_um": [10, -10]}, "focus.limits_um: 10 to -10 µm is no range"),
        ({"limits_um": [0]}, "focus.limits_um[1]: missing"),
        ({"um_per_unit": 0}, "focus.um_per_unit: 0: 0 µm per unit would move nothing"),
        ({"backlash_um": 80}, "focus: backlash_um 80 µm leaves no room to approach planes"),
        ({"settle_ms": 100_000}, "100000 ms is out of bounds; it must be at most 60000 ms"),
        ({"backlash": 5}, "focus.backlash: unknown key; did you mean 'backlash_um'?"),
        ({"driver": "gbrl"}, "'gbrl' is not possible; did you mean 'grbl'?"),
    ],
)  # fmt: skip
def test_rigs_that_cannot_be_are_refused(tmp_path: Path, focus: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_rig(rig_with(tmp_path, focus=focus))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/rig.yaml:")
