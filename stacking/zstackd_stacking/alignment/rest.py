"""Whether a rig stands still.

Most rigs are rigid, and a fit that may move follows the defocus of bright objects away from where
they are. So frames are looked at in the reference's place first, and left there as long as nothing
pulls them off it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from zstackd_stacking.alignment.align import Registration
from zstackd_stacking.geometry import Motion, identity, motion_between

STEP_PX: Final = 0.05
FROM_REFERENCE_PX: Final = 0.1
"""Motions up to these are none, however sure they are."""
_SPREADS: Final = 7.0
_WALK_SPREADS: Final = 15.0
"""Motions of fewer formal spreads may be nothing but noise and changing defocus."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What was measured of frames that may all lie where the reference lies.

    `walked` is where the last frame seemed to lie, by the reference where that could be seen, else
    by the steps between neighbours; `variance` is that of its formal error.
    """

    walked: Motion
    variance: Motion
    residual_px: float

    def after(self, step: Registration, shape: tuple[int, int]) -> "Rest | None":
        """With one more frame beside its neighbour, None where it has moved."""
        motion = motion_between(identity(), step.matrix, shape)
        if not _nothing(motion, step.spread, STEP_PX, _SPREADS):
            return None
        walked, variance = self.walked + motion, self.variance + step.spread**2
        if not _nothing(walked, np.sqrt(variance), FROM_REFERENCE_PX, _WALK_SPREADS):
            return None
        return Rest(walked, variance, step.residual_px)

    def seen(self, seen: Registration, shape: tuple[int, int]) -> "Rest | None":
        """With one more frame beside the reference, None where it has moved."""
        motion = motion_between(identity(), seen.matrix, shape)
        if not _nothing(motion, seen.spread, FROM_REFERENCE_PX, _SPREADS):
            return None
        return Rest(motion, seen.spread**2, seen.residual_px)


def sharp_enough(seen: Registration) -> bool:
    """Whether the sight of a frame is so good that no other sight of it is needed."""
    return bool(_SPREADS * seen.spread.max() <= FROM_REFERENCE_PX)


def _nothing(motion: Motion, spread: Motion, least_px: float, spreads: float) -> bool:
    return bool(np.all(np.abs(motion) <= np.maximum(least_px, spreads * spread)))
