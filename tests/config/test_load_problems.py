"""Everything that is wrong with a rig or a run, all at once, each in one line with its place."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.users import ordinary_user

from zstackd_config.errors import ConfigError, InputError
from zstackd_config.load import load_rig, load_run, parse_run, read_document
from zstackd_config.rig import Paths
from zstackd_config.yaml_text import MAX_BYTES

if TYPE_CHECKING:
    from tests.config.conftest import Problem, Problems

RUN = "name: a\nz_plan: {bottom: 0, top: 10, step: 1}\n"
"""A valid run; what is appended stands in its line 3."""


AROUND = "name: a\nz_plan: {range: 5, step: 1}\n"
WriteRig = Callable[..., Path]


def test_every_problem_is_reported_in_the_order_of_the_file(problems: Problems) -> None:
    found = problems(
        "name: ''\n"
        "z_plan: {bottom: 0, top: 10, stpe: 1}\n"
        "exposure: {mode: manual, exposure_time_ms: -2}\n"
        "stacking:\n  align: perhaps\n  refrence: 3\n"
    )
    assert [line.split(": ")[:2] for line in found] == [
        ["r.yaml:1:7", "name"],
        ["r.yaml:2:9", "z_plan.step"],
        ["r.yaml:2:30", "z_plan.stpe"],
        ["r.yaml:3:44", "exposure.exposure_time_ms"],
        ["r.yaml:5:10", "stacking.align"],
        ["r.yaml:6:3", "stacking.refrence"],
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "name: a\nz_plan: {bottom: 0,5, top: 9, step: 1}",
            "r.yaml:2:20: z_plan.5: unknown key; a comma ends a value between braces: write",
        ),
        (f"{RUN}stackng: {{}}", "r.yaml:3:1: stackng: unknown key; did you mean 'stacking'?"),
        (f"{RUN}output: {{format: tiff}}", "'tiff' is not possible; did you mean 'tif'?"),
        (
            f"{RUN}exposure: {{mode: automatic}}",
            "r.yaml:3:18: exposure.mode: 'automatic' is not possible; known are locked_auto, ma",
        ),
        (f"{RUN}exposure: {{}}", "r.yaml:3:11: exposure.mode: missing; add one of locked_auto, "),
        (
            f"{RUN}exposure: {{mode: manual, exposure_time_ms: 0}}",
            "exposure_time_ms: 0 ms is out of bounds; it must be greater than 0 ms",
        ),
        (f"{RUN}exposure:", "exposure: nothing is not a section; write `key: value` lines"),
        (f"{RUN}stacking: {{reference: mid}}", "reference: 'mid' is not possible; did you mean 'm"),
        (
            f"{RUN}stacking: {{reference: [1]}}",
            "a list of 1 is not possible; write a whole number or one of first, middle, last",
        ),
        (
            f"{RUN}stacking: {{reference: -1}}",
            "reference: -1 is out of bounds; it must be at least 0",
        ),
        (f"{RUN}metadata: {{a: .nan}}", "metadata.a: nan is not a finite number"),
        (
            f"{RUN}repeat: 3\ntime_plan: {{interval: 5, loops: 2}}",
            "time_plan: it and repeat 3 both say how often; give one of them",
        ),
        (
            f"{RUN}z_reference_um: 5",
            "z_reference_um: 5 µm: a z_plan of absolute heights",
        ),
        (
            f"{AROUND}z_reference_um: autofocus",
            "r.yaml:3:17: z_reference_um: 'autofocus': it needs a range; add autofocus: {range_um:",
        ),
        (
            f"{AROUND}autofocus: {{range_um: [0, 9]}}",
            "z_reference_um: 'current': the section autofocus has no effect; write z_reference_um:",
        ),
        (
            f"{AROUND}z_reference_um: curent",
            "z_reference_um: 'curent' is not possible; did you mean 'current'?",
        ),
        (
            f"{AROUND}z_reference_um: autofocus\nautofocus: {{range_um: [9, 0]}}",
            "autofocus.range_um: 9 to 0 µm is no range",
        ),
        (f"{RUN}not_before: 5", "not_before: 5 is not a date and time; write"),
        (f"{RUN}not_before: 2026-11-24", "not_before: '2026-11-24' is not a"),
        (f"{RUN}not_before: 2026-11-24T10:00:00", "not a time with its offset; write such as"),
        ("name: a\n", "r.yaml:1:1: z_plan: missing; add it: Planes"),
        ("name: a\nz_plan: {}\n", "r.yaml:2:9: z_plan: not a z-plan; give top, bottom and step"),
        ("name: a\nz_plan: [1, 2]\n", "not a z-plan"),
        ("name: a\nz_plan: {range: 10, step: 0}", "z_plan.step: 0 µm is out of bounds"),
        ("name: a\nz_plan: {range: 10, step: -1}", "z_plan.step: -1 µm is out of bounds"),
        ("name: a\nz_plan: {range: 10, step: .nan}", "z_plan.step: nan µm is not a finite number"),
        ("name: a\nz_plan: {range: 10, step: true}", "z_plan.step: true is a switch"),
        ("name: a\nz_plan: {range: 1e6, step: 0.01}", "100000001 planes are too many"),
        (
            "name: a\nz_plan: {bottom: 5, top: -0.5, step: 1}",
            "z_plan: top -0.5 µm lies below bottom 5 µm; swap them",
        ),
        (
            "name: a\nz_plan: {bottom: 5, top: 0, step: auto}",
            "z_plan: top 0 µm lies below bottom 5 µm; swap them",
        ),
        (
            "name: a\nz_plan: {range: 10, step: Auto}",
            "z_plan.step: 'Auto' is not possible; did you mean 'auto'?",
        ),
        ("name: a\nz_plan: {range: 10, step: atuo}", "z_plan.step: 'atuo' is not possible; did "),
        ("name: a\nz_plan: {range: 10, step: fine}", "z_plan.step: 'fine' is not a number"),
        (f"{RUN}stacking: {{method: NEAR}}", "'NEAR' is not possible; did you mean 'near'?"),
        (
            f"{RUN}stacking: {{method: near, memory: low}}",
            "r.yaml:3:34: stacking.memory: 'low': the method near takes no less by it; only",
        ),
        (
            f"{RUN}metadata:\n  <<: {{a: 1}}",
            "r.yaml:4:3: the merge key << of YAML 1.1 is not read; write its keys here",
        ),
        ("name: a\nz_plan: {absolute: []}", "z_plan.absolute: a list of 0 is too short"),
        ("name: a\nz_plan: {absolute: [1, x]}", "z_plan.absolute[1]: 'x' is not a number"),
        ("name: a\nz_plan: {absolute: [1, no]}", "z_plan.absolute[1]: 'no' is not a number"),
        ("name: a\nz_plan: {absolute: [1, true]}", "z_plan.absolute[1]: true is a switch"),
        ("name: 1:30\nz_plan: {range: 2}", "z_plan.step: missing"),
        ("name: [a]\nz_plan: {range: 2, step: 1}", "name: a list of 1 is not text"),
        ('name: "a\\nb"\nz_plan: {range: 2, step: 1}', "name: 'a\\nb': a name needs a visible cha"),
        ("name: 7\nz_plan: {range: 2, step: 1}", "name: 7 is not text; put it into quotes"),
    ],
)
def test_wrong_values_say_what_and_what_to_do(text: str, said: str, problem: Problem) -> None:
    assert said in problem(text)


def test_a_name_that_would_break_the_line_is_written_out() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_run("", name="a\nb\x1b.yaml")
    assert caught.value.problems[0].startswith("a\\nb\\x1b.yaml:1:1: ")


@pytest.mark.parametrize("load", [load_rig, load_run])
def test_what_is_no_file_is_refused(load: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load(tmp_path / "missing.yaml")
    with pytest.raises(InputError, match=r"cannot be read: .*embedded null"):
        load(tmp_path / "a\0b")
    for other in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match="not a regular file; give a YAML file"):
            load(other)


def test_a_file_of_somebody_else_s_says_who_must_be_let_in(tmp_path: Path) -> None:
    private = tmp_path / "private.yaml"
    private.write_text(RUN)
    private.chmod(0)
    denied = "cannot be read: Permission denied; let the user who runs zstackd read it"
    with ordinary_user(), pytest.raises(InputError, match=denied):
        load_run(private)


def test_no_more_of_a_huge_file_is_read_than_is_allowed(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(50 << 30)
    with pytest.raises(ConfigError, match="more than 1048576 bytes are too many"):
        load_run(huge)
    assert len(read_document(huge)) == MAX_BYTES + 1


def test_relative_paths_are_taken_from_the_rig_file(write_rig: WriteRig, tmp_path: Path) -> None:
    rig = load_rig(write_rig(camera={"driver": "folder", "path": "frames"}))
    assert rig.paths.state == tmp_path / "state"
    assert rig.paths.output == Path("/output")
    assert rig.camera.relative_to(Path("/")) == rig.camera
    assert getattr(rig.camera, "path", None) == tmp_path / "frames"


@pytest.mark.parametrize("folder", ["~", "~/state", "~zstackd/state"])
@pytest.mark.parametrize(
    "changes",
    [
        lambda folder: {"paths": {"state": folder, "output": "o"}},
        lambda folder: {"paths": {"state": "s", "output": folder}},
        lambda folder: {"camera": {"driver": "folder", "path": folder}},
        lambda folder: {"api": {"socket": folder}},
        lambda folder: {"api": {"tcp": {"port": 0, "token_file": folder}}},
    ],
    ids=["state", "output", "frames", "socket", "token"],
)
def test_no_home_folder_is_guessed(
    write_rig: WriteRig, folder: str, changes: Callable[[str], dict[str, Any]]
) -> None:
    path = write_rig(**changes(folder))
    with pytest.raises(ConfigError, match="only a shell knows whose home folder ~ is; write the"):
        load_rig(path)


def test_a_tilde_within_a_path_is_a_letter_like_others(write_rig: WriteRig, tmp_path: Path) -> None:
    rig = load_rig(write_rig(paths={"state": "s/~", "output": "old~/out"}))
    assert rig.paths.output == tmp_path / "old~" / "out"


def test_images_of_a_folder_are_not_waited_for(write_rig: WriteRig) -> None:
    path = write_rig(camera={"driver": "folder", "path": "x"}, focus={"settle_ms": "auto"})
    with pytest.raises(ConfigError, match="focus: settle_ms auto needs a camera; images of a fold"):
        load_rig(path)


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("focus", {"limits_um": [10, -10]}, "focus.limits_um: 10 to -10 µm is no range"),
        (
            "focus",
            {"settle_ms": "0.3 s"},
            "focus.settle_ms: '0.3 s' is not a number; write the number alone, in ms: 300",
        ),
        ("focus", {"settle_ms": "Auto"}, "'Auto' is not possible; did you mean 'auto'?"),
        ("focus", {"limits_um": [0]}, "focus.limits_um[1]: missing"),
        ("focus", {"limits_um": [0, 1, 2]}, "focus.limits_um: a list of 3 is too long; at most 2"),
        ("focus", {"um_per_unit": 0}, "focus.um_per_unit: 0: a unit moves 0.0001 to 100000 µm"),
        ("focus", {"um_per_unit": -1e-300}, "0.0001 to 100000 µm, in either direction"),
        ("focus", {"speed_um_per_s": 1e-9}, "focus.speed_um_per_s: 1e-09 µm/s is out of bounds"),
        ("focus", {"backlash_um": 80}, "focus.backlash_um: 80 µm: leaves no room to approach"),
        ("focus", {"settle_ms": 100_000}, "100000 ms is out of bounds; it must be at most 60000"),
        ("focus", {"settle_ms": True}, "focus.settle_ms: true is a switch; write a number"),
        ("focus", {"settle_ms": "atuo"}, "settle_ms: 'atuo' is not possible; did you mean 'auto'?"),
        ("focus", {"backlash": 5}, "focus.backlash: unknown key; did you mean 'backlash_um'?"),
        ("focus", {"driver": "gbrl"}, "focus.driver: 'gbrl' is not possible; did you mean 'grbl'?"),
        ("focus", {"port": ""}, "focus.port: '' is too short; at least 1 character"),
        ("camera", {"driver": "picamera"}, "camera.driver: 'picamera' is not possible; did you me"),
        ("camera", {"driver": "folder"}, "camera.path: missing; add it: Folder of images"),
        ("camera", {"size_px": [8, 99]}, "camera.size_px[0]: 8 px is out of bounds; it must be at"),
        ("camera", {"size_px": "640x480"}, "camera.size_px: '640x480' is not a list"),
        ("optics", {"numerical_aperture": 1.3}, "optics.numerical_aperture: 1.3: an aperture is s"),
        ("paths", {"state": ""}, "paths.state: '': name a folder"),
        ("paths", {"output": "state"}, "paths.output: 'state': within the spool state; name a f"),
        ("paths", {"output": "./out/../state/x"}, "within the spool state; name a folder beside"),
        ("paths", {"output": "state/runs/out"}, "paths.output: 'state/runs/out': within the spool"),
        ("paths", {"output": ".."}, "paths.output: '..': holds the spool state, which would be"),
        ("paths", {"state": "/output/state"}, "holds the spool /output/state, which would be"),
        ("service", {"reserve_mb": 0}, "service.reserve_mb: 0 MB is out of bounds; it must be at"),
    ],
)
def test_rigs_that_cannot_be_are_refused(
    write_rig: WriteRig, section: str, values: dict[str, Any], said: str
) -> None:
    path = write_rig(**{section: values})
    with pytest.raises(ConfigError) as caught:
        load_rig(path)
    (line,) = caught.value.problems
    assert said in line
    assert line.startswith(f"{path}:")


def test_folders_are_held_against_each_other_where_one_is_relative(
    write_rig: WriteRig, tmp_path: Path
) -> None:
    for output, said in ((tmp_path / "state" / "out", "within"), (tmp_path, "holds")):
        path = write_rig(paths={"output": str(output)})
        line = path.read_text()[: path.read_text().index("output:")].count("\n") + 1
        with pytest.raises(ConfigError) as caught:
            load_rig(path)
        assert str(caught.value).startswith(f"{path}:{line}:11: paths.output: '{tmp_path.anchor}")
        assert f"': {said} the spool state" in str(caught.value)


@pytest.mark.parametrize(
    ("link", "target", "said"),
    [
        ("output", "state", "leads to {}/state, within the spool state; name a folder beside it"),
        ("output", "state/runs/not/yet", "leads to {}/state/runs/not/yet, within the spool state"),
        ("state", "output/spool", "holds the spool state, which would be taken for a result"),
        ("state/inbox", "output/inbox", "holds the spool state/inbox, which would be taken"),
        ("state/inbox", "output", "within the spool state/inbox; name a folder beside it"),
        ("state/runs", "output/deep/er", "holds the spool state/runs, which would be taken"),
    ],
)
def test_folders_are_held_against_each_other_by_where_links_lead(
    write_rig: WriteRig, tmp_path: Path, link: str, target: str, said: str
) -> None:
    path = write_rig(paths={"state": "state", "output": "output"})
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / target)
    load_rig(path)  # a command that only asks the service asks no file system
    with pytest.raises(ConfigError) as caught:
        load_rig(path, follow=True)
    assert f"paths.output: 'output': {said.format(tmp_path)}" in str(caught.value)


@pytest.mark.parametrize(
    ("state", "output"),
    [
        ("data/state", "data/output"),
        ("output/.zstackd/state", "output"),
        ("state", "state-output"),
        ("loop", "output"),
    ],
)
def test_folders_that_do_no_harm_to_each_other_may_lie_as_they_like(
    write_rig: WriteRig, tmp_path: Path, state: str, output: str
) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    rig = load_rig(write_rig(paths={"state": state, "output": output}), follow=True)
    assert rig.paths == Paths(state=tmp_path / state, output=tmp_path / output)


def test_a_rig_where_a_run_is_wanted_is_told_in_one_line() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_run("name: a\ncamera: {driver: simulated}\nfocus: {}\n", name="rig.yaml")
    assert str(refused.value) == "rig.yaml:2:1: this is a rig file; give a run file here"


def test_a_run_where_a_rig_is_wanted_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"{RUN}stackng: {{}}\n")
    with pytest.raises(ConfigError) as refused:
        load_rig(path)
    assert str(refused.value) == f"{path}:2:1: this is a run file; give a rig file here"


def test_a_run_with_a_section_of_a_rig_is_a_run() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_run(f"{RUN}camera: {{}}\n", name="r.yaml")
    assert "r.yaml:3:1: camera: unknown key" in str(refused.value)


@pytest.mark.parametrize("key", ["absolute", "relative"])
@pytest.mark.parametrize("heights", ["5", "'350'", "true", ".nan", "{1: 2}", "null"])
def test_heights_that_are_no_list_are_refused(key: str, heights: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_run(f"name: a\nz_plan: {{{key}: {heights}}}\n", name="r.yaml")
    assert str(refused.value).startswith(f"r.yaml:2:20: z_plan.{key}: ")
    assert str(refused.value).endswith(" is not a list; write [one, two]")


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_a_moment_of_another_age_is_refused(moment: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_run(f"{RUN}not_before: {moment}\n", name="r.yaml")
    assert "must be of the years 1970 to 2999" in str(refused.value)


def test_a_pixel_size_in_metres_is_refused(write_rig: WriteRig) -> None:
    with pytest.raises(ConfigError) as refused:
        load_rig(write_rig(optics={"pixel_size_um": 0.55e-6}))
    assert "it must be at least 0.001 µm" in str(refused.value)
