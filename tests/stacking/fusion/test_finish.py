"""From running sums to the image."""

import numpy as np
import pytest

from zstackd_stacking.fusion.finish import undamped
from zstackd_stacking.pyramid import enlarged, reduced


@pytest.mark.parametrize(("period_px", "least"), [(8, 0.7), (10, 0.85), (14, 0.94), (40, 0.98)])
def test_stripes_of_colour_keep_their_strength_at_half_size(period_px: int, least: float) -> None:
    wave = np.sin(2 * np.pi * np.arange(240, dtype=np.float32) / period_px)
    stripes = np.repeat(wave[None], 120, axis=0)
    back = enlarged(undamped(reduced(stripes)), stripes)[20:-20, 20:-20]
    kept = back.std() / stripes[20:-20, 20:-20].std()
    assert least < kept < 1.02
