"""Values that are valid, and hardly meant: told with their place, never refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zstackd_config.doubts import doubts
from zstackd_config.load import load_rig

if TYPE_CHECKING:
    from collections.abc import Callable

    WriteRig = Callable[..., Path]

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("rig.*.yaml")), ids=lambda path: path.name)
def test_nothing_of_the_examples_is_doubted(path: Path) -> None:
    assert doubts(load_rig(path), path) == ()


def test_a_pixel_in_nanometres_is_told_with_its_place(write_rig: WriteRig) -> None:
    path = write_rig(optics={"pixel_size_um": 155, "magnification": 10})
    line = path.read_text()[: path.read_text().index("pixel_size_um")].count("\n") + 1
    (said,) = doubts(load_rig(path), path)
    assert said.startswith(
        f"{path}:{line}:3: optics.pixel_size_um: 155 µm at magnification 10 would be 1550 µm on "
        "the sensor, where pixels have 0.5 to 50 µm"
    )
    assert "\n" not in said


@pytest.mark.parametrize(
    ("pixel_size_um", "magnification", "doubted"),
    [
        (0.155, 10, False),
        (0.00155, 10, True),  # in hundredths of a millimetre
        (1.55, 40, True),  # not divided by the magnification
        (0.155, 1000, True),
        (0.07, 10, False),  # 1.12 µm behind a tube of 1.6×
        (0.028, 40, False),  # 1.12 µm
        (4.7, 10, False),  # 5.86 µm, binned by 4, behind an adapter of 0.5×
        (0.3, 100, False),  # 16 µm behind 0.5×
        (30, 0.05, False),  # a camera lens that makes things smaller
    ],
)
def test_only_pixels_of_no_sensor_are_doubted(
    write_rig: WriteRig, pixel_size_um: float, magnification: float, doubted: bool
) -> None:
    path = write_rig(optics={"pixel_size_um": pixel_size_um, "magnification": magnification})
    assert bool(doubts(load_rig(path), path)) == doubted
