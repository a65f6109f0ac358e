"""One motion of a GRBL controller, from the first jog to rest at the target."""

import time
from collections.abc import Callable, Sequence

from zstackd_config.errors import Interrupted
from zstackd_drivers.errors import MotionError
from zstackd_drivers.grbl_controller import GrblController

_PROGRESS_S = 0.2
_FIRST_POLL_S = 0.004
_POLL_GROWTH = 1.5
_SLOWEST_POLL_S = 0.1
_PATIENCE = 6


class Jogger:
    """Moves in controller units and watches the motion; `show` renders a position for people."""

    def __init__(
        self,
        *,
        name: str,
        controller: GrblController,
        margin_s: float,
        show: Callable[[float], str],
    ) -> None:
        self._name = name
        self._controller = controller
        self._margin_s = margin_s
        self._show = show

    def go(
        self,
        targets: Sequence[float],
        *,
        rate: float,
        wall_s: float,
        tolerance: float,
        stopped: Callable[[], bool],
    ) -> float:
        """Visit `targets`, which takes `wall_s`, and return the position reported at rest.

        Raises Interrupted where `stopped()` becomes true; the caller brakes. Raises MotionError
        where the motor comes to rest elsewhere or not at all.
        """
        end = time.monotonic() + wall_s
        for target in targets:
            self._check(stopped)
            self._controller.jog(target, rate)
        return self._await_rest(targets[-1], end, wall_s, tolerance, stopped)

    def brake(self, braking_s: float) -> None:
        """Cancel jogs until the controller is idle; raises MotionError where it had to be reset.

        The cancel byte is repeated: one that overtakes the line of its jog has no effect.
        """
        limit = time.monotonic() + braking_s + self._margin_s
        while time.monotonic() < limit:
            self._controller.cancel_jog()
            state, _ = self._controller.poll()
            if state == "Idle":
                return
            self._controller.pause(_FIRST_POLL_S, lambda: False)
        self._controller.reset()
        raise MotionError(
            f"{self._name} did not brake within {braking_s + self._margin_s:.3g} s and was reset: "
            "home it, or confirm where it stands"
        )

    def _await_rest(
        self,
        target: float,
        end: float,
        wall_s: float,
        tolerance: float,
        stopped: Callable[[], bool],
    ) -> float:
        limit = end + 0.2 * wall_s + self._margin_s
        misses, interval = 0, _FIRST_POLL_S
        while True:
            left = end - time.monotonic()
            self._controller.pause(min(left, _PROGRESS_S) if left > 0 else interval, stopped)
            self._check(stopped)
            state, machine = self._controller.poll()
            if state == "Idle" and abs(machine - target) <= tolerance:
                return machine
            misses += state == "Idle"
            self._expect_motion(state, machine, target, misses)
            if time.monotonic() > limit:
                raise MotionError(
                    f"{self._name} is stuck at {self._show(machine)} on the way to "
                    f"{self._show(target)} ({wall_s:.3g} s of motion, {self._margin_s:g} s to "
                    "spare): check motor and supply, then home it"
                )
            if left <= 0:
                interval = min(_POLL_GROWTH * interval, _SLOWEST_POLL_S)

    def _expect_motion(self, state: str, machine: float, target: float, misses: int) -> None:
        # One Idle elsewhere may be a report spoilt on the line, or older than the second jog.
        if state == "Jog" or (state == "Idle" and misses < _PATIENCE):
            return
        where = f"{self._show(machine)} instead of {self._show(target)}"
        if state == "Idle":
            raise MotionError(
                f"{self._name} came to rest at {where}: check the motor, then home it"
            )
        raise MotionError(
            f"{self._name} went into state {state} at {where}: look at the controller, then home it"
        )

    def _check(self, stopped: Callable[[], bool]) -> None:
        if stopped():
            raise Interrupted(f"{self._name} was stopped")
