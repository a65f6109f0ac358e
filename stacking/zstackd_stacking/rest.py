"""Whether a rig stands still.

Most rigs are rigid, and a fit that may move follows the defocus of bright objects away from where
they are. So frames are looked at in the reference's place first, and left there as long as nothing
pulls them off it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from zstackd_stacking.align import Registration
from zstackd_stacking.geometry import Motion, identity, motion_between

STEP_PX: Final = 0.05
FROM_REFERENCE_PX: Final = 0.1
"""Motions up to these are none, however sure they are."""
_SPREADS: Final = 5.0
_WALK_SPREADS: Final = 15.0
"""A motion of fewer formal spreads may be nothing but noise and changing defocus."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What was measured of frames that may all lie where the reference lies.

    `walked` is the sum of the steps between neighbours, `variance` that of its formal error.
    """

    walked: Motion
    variance: Motion
    residual_px: float

    def after(self, step: Registration, shape: tuple[int, int]) -> "Rest | None":
        """With one more frame beside its neighbour, None where it has moved."""
        motion = motion_between(identity(), step.matrix, shape)
        if not _nothing(motion, step.spread, STEP_PX, _SPREADS):
            return None
        return Rest(self.walked + motion, self.variance + step.spread**2, step.residual_px)

    def confirmed(self, seen: Registration | None, shape: tuple[int, int]) -> "Rest | None":
        """With the frame seen from the reference, if it can be; None where it has moved."""
        motion, spread, spreads = self.walked, np.sqrt(self.variance), _WALK_SPREADS
        if seen is not None:
            motion = motion_between(identity(), seen.matrix, shape)
            spread, spreads = seen.spread, _SPREADS
        return self if _nothing(motion, spread, FROM_REFERENCE_PX, spreads) else None


def _nothing(motion: Motion, spread: Motion, least_px: float, spreads: float) -> bool:
    return bool(np.all(np.abs(motion) <= np.maximum(least_px, spreads * spread)))
