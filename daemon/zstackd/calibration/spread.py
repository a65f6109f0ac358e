"""How widely measurements scatter, whatever a few of them say."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_SIGMA_PER_MAD: Final = 1.4826


def robust_sigma(deviations: NDArray[Any]) -> float:
    """Return the standard deviation of normal deviates that have these deviations from the middle.

    1.4826 times the median of their sizes (F. Hampel, «The influence curve and its role in robust
    estimation», J. Am. Stat. Assoc. 69, 1974).
    """
    return _SIGMA_PER_MAD * float(np.median(np.abs(deviations)))
