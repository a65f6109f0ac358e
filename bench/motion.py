"""How the picture moves on the sensor from plane to plane: magnification, turn, shift."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""2x3, takes x, y of one picture to x, y of another."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Change between the two ends of the stack, and an uneven part on top of it.

    `shift_px` is (x, y). `jitter_px`: standard deviation of a further shift of each frame.
    """

    magnification: float = 0.0
    rotation_deg: float = 0.0
    shift_px: tuple[float, float] = (0.0, 0.0)
    jitter_px: float = 0.0

    @property
    def still(self) -> bool:
        """Whether nothing moves."""
        return self == Motion()

    def transforms(
        self,
        rng: np.random.Generator,
        *,
        planes: int,
        size_px: tuple[int, int],
        canvas_px: tuple[int, int],
    ) -> list[Matrix]:
        """For each plane the matrix from canvas pixels to frame pixels."""
        along = np.linspace(-0.5, 0.5, planes)
        drift = 0.5 * (along + np.sign(along) * 2 * along**2)
        jitter = self.jitter_px * rng.standard_normal((planes, 2))
        result = []
        for index in range(planes):
            scale = 1 + self.magnification * along[index]
            angle = np.deg2rad(self.rotation_deg * drift[index])
            linear = scale * np.array(
                [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
            )
            shift = np.array(self.shift_px) * drift[index] + jitter[index]
            centre = (np.array(size_px) - 1) / 2 + shift
            offset = centre - linear @ ((np.array(canvas_px) - 1) / 2)
            result.append(np.column_stack([linear, offset]))
        return result


def compose(outer: Matrix, inner: Matrix) -> Matrix:
    """The matrix that does `inner` first, then `outer`."""
    return np.asarray(outer @ np.vstack([inner, [0, 0, 1]]), np.float64)


def inverse(matrix: Matrix) -> Matrix:
    """The matrix that undoes `matrix`."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def rms_over_field(a: Matrix, b: Matrix, size_px: tuple[int, int]) -> float:
    """Root mean square distance in px between where `a` and `b` put the pixels of a frame."""
    x, y = np.meshgrid(np.linspace(0, size_px[0] - 1, 17), np.linspace(0, size_px[1] - 1, 13))
    points = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    return float(np.sqrt(np.mean(np.sum(((a - b) @ points) ** 2, axis=0))))
