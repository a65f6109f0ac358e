"""Known motion of the rendered stacks."""

import numpy as np
import pytest
from bench.motion import Motion, compose, inverse, rms_over_field

SIZE = (200, 160)
CANVAS = (248, 208)


def ends(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    found = motion.transforms(np.random.default_rng(0), planes=9, size_px=SIZE, canvas_px=CANVAS)
    return found[0], found[-1]


def test_a_still_rig_only_takes_the_margin_off() -> None:
    first, last = ends(Motion())
    assert np.allclose(first, [[1, 0, -24], [0, 1, -24]])
    assert np.array_equal(first, last)
    assert Motion().still
    assert not Motion(jitter_px=0.1).still


def test_the_ends_differ_by_what_was_asked() -> None:
    first, last = ends(Motion(magnification=0.03, rotation_deg=1.0, shift_px=(8.0, -6.0)))
    between = compose(last, inverse(first))
    scale = np.sqrt(np.linalg.det(between[:, :2]))
    angle = np.degrees(np.arctan2(between[1, 0], between[0, 0]))
    centre = (np.array(SIZE) - 1) / 2
    moved = between @ np.append(centre + np.array([-4.0, 3.0]), 1) - centre
    assert scale == pytest.approx(1.015 / 0.985, abs=1e-6)
    assert angle == pytest.approx(1.0, abs=1e-6)
    assert moved == pytest.approx([4.0, -3.0], abs=1e-6)


def test_a_matrix_and_its_inverse_undo_each_other() -> None:
    first, _ = ends(Motion(magnification=0.03, rotation_deg=1.0, shift_px=(8.0, -6.0)))
    assert np.allclose(compose(inverse(first), first), np.eye(2, 3))


def test_distance_over_the_field_is_the_shift_itself() -> None:
    shifted = np.array([[1.0, 0, 3], [0, 1, -4]])
    assert rms_over_field(np.eye(2, 3), shifted, SIZE) == pytest.approx(5)
