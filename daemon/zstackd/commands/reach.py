"""Heights named on the command line, judged by the rig file before anything is opened."""

from zstackd.runs.plan import check_sweep
from zstackd_config.errors import InputError
from zstackd_config.focus import StepperFocus
from zstackd_drivers.errors import LimitError, UnreferencedError
from zstackd_drivers.stepping.approach import check_confirmed


def check_standing(focus: StepperFocus, at_um: float | None) -> None:
    """Raise InputError where the axis cannot stand at `--at-um`."""
    if at_um is not None:
        check_confirming(focus, at_um, named="--at-um: ")


def check_confirming(focus: StepperFocus, position_um: float, *, named: str = "") -> None:
    """Raise InputError, with what is `named`, where the axis cannot stand at a height."""
    try:
        check_confirmed(position_um, limits_um=focus.limits_um)
    except LimitError as error:
        raise InputError(f"{named}{error}") from error


def require_standing(focus: StepperFocus, at_um: float | None, *, otherwise: str = "") -> None:
    """Raise where nobody says where the axis of a rig stands that cannot find out.

    `otherwise` is what else there is to do. Raises UnreferencedError without `--at-um`, InputError
    where the axis cannot stand there.
    """
    check_standing(focus, at_um)
    if at_um is None and focus.reference == "confirm":
        raise UnreferencedError(
            f"the focus axis on {focus.port} does not know its position (focus.reference: "
            f"confirm): vouch for where it stands with --at-um UM{otherwise}"
        )


def check_range(focus: StepperFocus, low_um: float, high_um: float) -> None:
    """Raise InputError where `--low-um` to `--high-um` is no range, or is out of reach."""
    check_sweep((low_um, high_um), focus, named=("--low-um", "--high-um"))


def check_lead(focus: StepperFocus, low_um: float, high_um: float, *, lead_um: float) -> None:
    """Raise InputError where a run-up of `--lead-um` is none, or leaves the limits."""
    if not lead_um > 0:
        raise InputError(f"--lead-um {lead_um:g} is no run-up; give more µm than any backlash")
    low, high = focus.limits_um
    for option, z_um, start_um in (
        ("--low-um", low_um, low_um - lead_um),
        ("--high-um", high_um, high_um + lead_um),
    ):
        if not low <= start_um <= high:
            raise InputError(
                f"--lead-um {lead_um:g}: the run-up to {option} {z_um:zg} µm begins at "
                f"{start_um:zg} µm, beyond the limits {low:zg} to {high:zg} µm: sweep a smaller "
                "range, or shorten the run-up"
            )
