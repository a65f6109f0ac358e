"""Fresh and locked frames, proven by each frame's own metadata: what every live camera shares.

A pipeline still holds frames that were exposed before the axis stopped, and a control takes
effect some frames after it was set; how many depends on buffers and sensor. So nothing here
counts frames or sleeps: a frame is taken when its own timestamp and its own exposure say so.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from zstackd_drivers.camera import ExposureValues, Frame, Image, ignore
from zstackd_drivers.capture.frame_source import FrameSource, LockTolerance, TakenFrame
from zstackd_drivers.clock import Clock
from zstackd_drivers.errors import CameraError, CameraStalled, CameraTimeout

STABLE_FRAMES = 4
STABLE_RATIO = 0.01
LATEST_CONTROL_FRAMES = 8
TOO_EARLY = "exposed too early"


@dataclass(frozen=True, slots=True)
class LockedCapture:
    """Takes frames from `source` until one proves what was asked of it.

    `tolerance` is for values just set, against what was asked; `kept` for each frame after, against
    what the first ones reported.
    """

    name: str
    source: FrameSource
    clock: Clock
    tolerance: LockTolerance
    kept: LockTolerance
    size_px: tuple[int, int]

    def converge(self, *, frame_s: float, timeout_s: float) -> ExposureValues:
        """Let the automatic exposure settle and return the values it settled on.

        Frames that were exposed before, and those that still may carry the values held before,
        prove nothing: it begins to count where values change, or once any change would have come,
        by the time from frame to frame, `frame_s`.
        Raises CameraTimeout where the values still wander after `timeout_s` of rig time.
        """
        self.source.set_automatic()
        asked_ns, deadline_ns = self.clock.monotonic_ns(), self._deadline_ns(timeout_s)
        recent: list[ExposureValues] = []
        changed, last_ns = False, 0
        while (taken := self.source.take(deadline_ns=deadline_ns, after_ns=asked_ns)) is not None:
            values, last_ns = taken.exposure, taken.sensor_timestamp_ns
            taken.release()
            if last_ns <= asked_ns:
                continue
            changed = changed or (bool(recent) and not _close(values, recent[-1]))
            late_s = LATEST_CONTROL_FRAMES * max(frame_s, values.exposure_time_ms / 1e3)
            proves = changed or last_ns > asked_ns + _ns(late_s)
            recent = [*recent[-(STABLE_FRAMES - 1) :], values] if proves else [values]
            if len(recent) == STABLE_FRAMES and all(_close(values, other) for other in recent):
                return values
            if last_ns > deadline_ns:
                break
        if not recent or _stalled(last_ns, deadline_ns, timeout_s):
            raise CameraStalled(
                f"{self.name}: frames do not come, or ceased to, within {timeout_s:g} s; check the "
                "camera's cable and power"
            )
        raise CameraTimeout(
            f"{self.name}: automatic exposure did not settle within {timeout_s:g} s; it stood at "
            f"{describe(recent[-1])}; steady the light, or give exposure mode manual"
        )

    def hold(self, values: ExposureValues, *, timeout_s: float) -> ExposureValues:
        """Set explicit values and return them as the frames that carry them report them.

        They may be others where the camera tells at once that it takes others instead. Where the
        frames carried them all along, within the sensor's quantisation, it takes as many of them as
        a control may need to take effect: only then are they ours. Raises CameraTimeout where
        frames do not carry the values within `timeout_s` of rig time.
        """
        values = self.source.set_values(values)
        deadline_ns = self._deadline_ns(timeout_s)
        reported, others = self._carried(values, deadline_ns, timeout_s)
        for _ in range(0 if others else LATEST_CONTROL_FRAMES):
            reported, others = self._carried(values, deadline_ns, timeout_s)
        return reported

    def _carried(
        self, values: ExposureValues, deadline_ns: int, timeout_s: float
    ) -> tuple[ExposureValues, bool]:
        """Return what the next frame with `values` reports, and whether others came before it."""
        taken, refused = self._first(
            values, after_ns=None, deadline_ns=deadline_ns, asked_s=timeout_s
        )
        try:
            return taken.exposure, bool(refused)
        finally:
            taken.release()

    def fresh(
        self,
        lock: ExposureValues,
        *,
        after_ns: int,
        timeout_s: float,
        exposed: Callable[[], None] = ignore,
    ) -> Frame:
        """Return a frame whose exposure began after `after_ns` and that carries `lock`.

        Older frames and frames with other values are given back unread. Calls `exposed` before the
        image is fetched. Raises CameraTimeout where none comes within `timeout_s` of rig time
        after `after_ns`, and CameraError where the image has not the size of the open camera.
        """
        with self._proven(lock, after_ns, timeout_s) as taken:
            exposed()
            image = taken.image()
            self._check_size(image)
            return replace(_framed(taken, image), raw=taken.raw())

    def small(self, lock: ExposureValues, *, after_ns: int, timeout_s: float) -> Frame:
        """Return what `fresh` would, but small and grey."""
        with self._proven(lock, after_ns, timeout_s) as taken:
            return _framed(taken, taken.small_image())

    @contextmanager
    def _proven(
        self, lock: ExposureValues, after_ns: int, timeout_s: float
    ) -> Iterator[TakenFrame]:
        """Lend a frame that proved itself; release it whatever happens."""
        deadline_ns = max(self._deadline_ns(timeout_s), after_ns + _ns(timeout_s))
        taken, _ = self._first(lock, after_ns=after_ns, deadline_ns=deadline_ns, asked_s=timeout_s)
        try:
            yield taken
        finally:
            taken.release()

    def _first(
        self, lock: ExposureValues, *, after_ns: int | None, deadline_ns: int, asked_s: float
    ) -> tuple[TakenFrame, int]:
        """Return the first frame that proves itself, and how many were refused before it."""
        refused: Counter[str] = Counter()
        last_ns = 0
        while True:
            taken = self.source.take(deadline_ns=deadline_ns, after_ns=after_ns)
            if taken is None:
                break
            fault = self._fault(taken, lock, after_ns)
            if fault is None:
                return taken, refused.total()
            refused[fault] += 1
            last_ns = taken.sensor_timestamp_ns
            taken.release()
            if last_ns > deadline_ns:
                break
        kind = CameraStalled if _stalled(last_ns, deadline_ns, asked_s) else CameraTimeout
        raise kind(self._timeout_message(refused, lock, asked_s))

    def _fault(self, taken: TakenFrame, lock: ExposureValues, after_ns: int | None) -> str | None:
        if after_ns is not None and taken.sensor_timestamp_ns <= after_ns:
            return TOO_EARLY
        tolerance = self.tolerance if after_ns is None else self.kept
        if not tolerance.accepts(reported=taken.exposure, lock=lock):
            return f"had {describe(taken.exposure)}"
        return None

    def _check_size(self, image: Image) -> None:
        height, width = image.shape[:2]
        if (width, height) != self.size_px:
            raise CameraError(
                f"{self.name}: a frame has {width} x {height} px where the open camera has "
                f"{self.size_px[0]} x {self.size_px[1]} px; open the camera again"
            )

    def _timeout_message(
        self, refused: Counter[str], lock: ExposureValues, timeout_s: float
    ) -> str:
        came = ", ".join(f"{n} {fault}" for fault, n in refused.most_common(3)) or "none at all"
        remedy = "check the camera's cable and power"
        if any(fault != TOO_EARLY for fault in refused):
            remedy = (
                "the camera does not keep to it: give an exposure that it can hold, and look for "
                "another program that sets it"
            )
        return (
            f"{self.name}: no fresh frame with {describe(lock)} within {timeout_s:g} s "
            f"(frames that came: {came}); {remedy}"
        )

    def _deadline_ns(self, timeout_s: float) -> int:
        return self.clock.monotonic_ns() + _ns(timeout_s)


def _stalled(last_ns: int, deadline_ns: int, timeout_s: float) -> bool:
    """Return whether no frame came in the second half of the time until the deadline."""
    return deadline_ns - last_ns > _ns(timeout_s) / 2


def _framed(taken: TakenFrame, image: Image) -> Frame:
    return Frame(
        image=image,
        sensor_timestamp_ns=taken.sensor_timestamp_ns,
        exposure=taken.exposure,
        extra=taken.extra,
    )


def describe(values: ExposureValues) -> str:
    """Return exposure, gain and colour gains in words, with units."""
    text = f"exposure {values.exposure_time_ms:.3f} ms, gain {values.analogue_gain:.3f}"
    if values.colour_gains is None:
        return text
    red, blue = values.colour_gains
    return f"{text}, colour gains {red:.3f} and {blue:.3f}"


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def _close(a: ExposureValues, b: ExposureValues) -> bool:
    pairs = [(a.exposure_time_ms, b.exposure_time_ms), (a.analogue_gain, b.analogue_gain)]
    pairs += zip(a.colour_gains or (), b.colour_gains or (), strict=True)
    return all(math.isclose(x, y, rel_tol=STABLE_RATIO) for x, y in pairs)
