"""Depth-map stacking: first where everything lies, then each pixel from the planes around there.

`depthmap`: every place at the height where it is sharpest. `near`, `far`: where several planes are
in focus one behind the other, at the nearest or farthest of them, so that an opaque subject does
not show through. Memory is constant in the number of planes; what is sharpest, and which hill of
focus evidence is high enough to count, is only known once all frames were seen, so that these
methods look at them again: once, or twice for `near` and `far`.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from zstackd_config.errors import StackError
from zstackd_stacking.heights.priority import FirstHill
from zstackd_stacking.heights.sharpest import SharpestPlanes
from zstackd_stacking.heights.smoothing import smoothed
from zstackd_stacking.methods.composition import Composition
from zstackd_stacking.methods.focus_maps import BestSoFar, FocusMaps
from zstackd_stacking.methods.intake import Intake, Placed
from zstackd_stacking.report import height_of
from zstackd_stacking.types import (
    FloatMap,
    FrameReport,
    Image,
    StackOptions,
    StackResult,
    as_floats,
)


class DepthStacker:
    """Takes each pixel from the two planes around its height; sees frames again in `rounds`."""

    def __init__(self, options: StackOptions) -> None:
        self._options = options
        self._intake = Intake(options)
        self._focus = FocusMaps()
        self._depth = SharpestPlanes()
        self._best = BestSoFar()
        self._visit: Callable[[Placed], None] | None = None
        self._composition: Composition | None = None
        self._maps: tuple[FloatMap, FloatMap] | None = None

    def add(
        self, image: Image, *, index: int, z_um: float | None = None, name: str = ""
    ) -> FrameReport:
        """Align one frame and see what is in focus in it; the first one is the reference.

        Raises StackError where size, dtype, index or height do not fit the frames so far.
        """
        placed = self._intake.take(image, index=index, z_um=z_um, name=name)
        if placed.begins:
            self._focus, self._depth, self._best = FocusMaps(), SharpestPlanes(), BestSoFar()
        if not placed.placement.used:
            return self._intake.note(placed, 0.0)
        focus, sharpness = self._focus.of(placed)
        self._best.add(focus, placed)
        if self._options.method == "depthmap":
            self._depth.add(focus, index=index, height=placed.height)
        return self._intake.note(placed, sharpness)

    def rounds(self) -> Iterator[Sequence[int]]:
        """The frames to be seen again; with a priority twice, from its side on."""
        self._intake.require_frames()
        frames = self._from_preferred_side()
        order = [frame.index for frame in frames]
        planes = sorted(frames, key=height_of)
        place_of = {frame.index: place for place, frame in enumerate(planes)}
        if self._options.method != "depthmap":
            hill = FirstHill(self._best.focus, self._focus.floor)
            self._best = BestSoFar()
            self._visit = lambda placed: self._choose(hill, placed, place_of[placed.index])
            yield order
        composition = self._composed_of(planes)
        self._visit = lambda placed: composition.add(placed, place_of[placed.index])
        yield order
        self._composition = composition

    def again(self, image: Image, *, index: int) -> FrameReport:
        """Look at a frame once more; StackError where it was not asked for."""
        if self._visit is None:
            raise StackError(f"frame {index} was not asked for again")
        placed = self._intake.again(image, index=index)
        self._visit(placed)
        return self._intake.report_of(index)

    def result(self) -> StackResult:
        """The image, its height map and what became of each frame; after all rounds."""
        report = self._intake.report(self._options.method)
        if self._composition is None or self._maps is None:
            raise StackError(f"{report.method}: frames must be seen again before there is a result")
        height, width = self._intake.shape[:2]
        image = self._composition.image(self._intake.dtype)[:height, :width]
        if not self._options.depth:
            return StackResult(image, None, None, report)
        depth, confidence = (self._intake.at_full_size(part) for part in self._maps)
        return StackResult(image, depth, confidence, report)

    def finish(self) -> StackResult:
        """The result; nothing may be added after."""
        return self.result()

    def _choose(self, hill: FirstHill, placed: Placed, place: int) -> None:
        focus = hill.pressed(self._focus.of(placed)[0])
        self._best.add(focus, placed)
        self._depth.add(focus, index=place, height=placed.height)

    def _from_preferred_side(self) -> list[FrameReport]:
        """The frames used, the nearest first, or the farthest."""
        frames = [frame for frame in self._intake.reports() if frame.used]
        near = self._options.high_is_near
        if near is None:
            near = frames[0].z_um is not None
        return sorted(frames, key=height_of, reverse=near == (self._options.method != "far"))

    def _composed_of(self, planes: Sequence[FrameReport]) -> Composition:
        """The composition by the height map, which is finished with this."""
        heights, sure = self._depth.heights()
        levels = np.array([height_of(frame) for frame in planes])
        places = as_floats(np.interp(heights, levels, np.arange(len(levels))))
        places = smoothed(places, sure, self._best.picture)
        self._maps = as_floats(np.interp(places, np.arange(len(levels)), levels)), sure
        self._depth, self._best = SharpestPlanes(), BestSoFar()
        reference = [frame.index for frame in planes].index(self._intake.reference_index)
        return Composition(places, reference)
