"""How far apart planes may lie so that nothing between them is lost."""

import math

from zstackd_config.rig import Optics

_UM_PER_NM = 1e-3


def largest_step_um(optics: Optics) -> float:
    """Return the largest step between planes, in µm, that still samples what the optics resolve.

    The Nyquist step along the axis, 1/(2 k). k is how far the transfer function of a wide-field
    microscope reaches along the axis: for a lateral frequency f it is
    √((n/λ)² − (NA/λ − f)²) − √((n/λ)² − (NA/λ)²), largest at f = NA/λ (N. Streibl,
    «Three-dimensional imaging by a microscope», J. Opt. Soc. Am. A 2, 121, 1985). Pixels of size p
    record no lateral frequency above 1/(2p), so f ends there where they are coarse. In air and with
    fine pixels the step is close to λ/NA², with coarse ones to p/NA.
    """
    wavelength_um = optics.wavelength_nm * _UM_PER_NM
    whole = optics.refractive_index / wavelength_um
    edge = optics.numerical_aperture / wavelength_um
    lateral = min(edge, 0.5 / optics.pixel_size_um)
    reach = math.sqrt(whole**2 - (edge - lateral) ** 2) - math.sqrt(whole**2 - edge**2)
    return 0.5 / reach
