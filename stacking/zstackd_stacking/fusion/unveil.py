"""Take the veil of near objects off the ground beside them.

In the plane in which ground is sharp, an object in front of it reaches over its outline as a disc
of light. Where the ground is seen without it, it is blurred. So neither plane, nor a mixture of
them, shows the ground's own brightness. But the veil can be foretold: it is the object as the fused
image shows it, spread by the disc of its distance. What a place's own plane shows, less that veil,
over the share of light that passes the object, is the ground (N. Asada, H. Fujiwara, T. Matsuyama
1998, who look behind occluding edges so).

How far discs reach is measured (`zstackd_stacking.fusion.blur_growth`), which side is near is what
explains the frames. What is foretold counts as far as it agrees, on the mean of a neighbourhood,
with the blend of all planes, and never leaves the range of what frames show of the place.
"""

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from zstackd_stacking.filling import fill
from zstackd_stacking.fusion.own_planes import OwnPlanes
from zstackd_stacking.fusion.veil import veil, veil_of_some
from zstackd_stacking.pyramid import halved
from zstackd_stacking.types import FloatMap, as_floats

_GRID: Final = 4
_PEAK: Final = 255.0
_PLACES: Final = 1024
_LEAST_SHARE: Final = 0.1
"""Of the places that discs reach, fewer are veiled by slopes and noise: those have no edges."""
_SURE_FROM: Final = 0.5
"""Log of evidence, over that of noise, from which a place's own plane is known."""
_SURE: Final = 0.5
_LEAST_PLANES: Final = 1.5
"""Places less far behind one another count as one surface."""
_VEILED: Final = 0.01
_CLEARLY_VEILED: Final = 0.05
_MOST_VEILED: Final = 0.7
_EXPLAINED: Final = 0.2
_CLEARLY: Final = 3.0
"""So many times more must the near end explain than the other one."""
_WHOLLY: Final = 0.04
_ZONE_PX: Final = 9
_SOFT_PX: Final = 5
_AROUND_PX: Final = 11
_AGREE_LEVELS: Final = 6.0
_BEYOND_LEVELS: Final = 5.0
_MOST_LEVELS: Final = 60.0
_ERROR: Final = 0.04
"""What foretold light can be off by, as a share of it."""
_SPECK_PX: Final = 5
_DARKEST: Final = np.float32(4e-4)
_EVEN_PX: Final = 1.0
"""Radii of places beside each other differ by less, in px of the grid."""
_NEIGHBOURS: Final = np.ones((3, 3), np.uint8)
_TINY: Final = np.float32(1e-3)


@dataclass(frozen=True, slots=True)
class Unveiled:
    """`clear`: light of each place without what is in front of it, of which it hides `hidden`.

    `light`: what was taken away for that.
    """

    clear: FloatMap
    hidden: FloatMap
    light: FloatMap


@dataclass(frozen=True, slots=True)
class Scene:
    """Places on one grid, (h, w). Light is linear, 0 to 1.

    `heights`: as `veil` wants them; `seen`: light in each place's own plane; `fused`: in the blend
    of all planes; `sure`, 0 to 1: how surely the own plane is known; `least`: see `veil`.
    """

    heights: FloatMap
    seen: FloatMap
    fused: FloatMap
    sure: FloatMap
    least: float

    def coarser(self) -> "Scene":
        """Every second place."""
        each = np.s_[::2, ::2]
        return Scene(
            heights=self.heights[each] * np.float32(0.5),
            seen=self.seen[each],
            fused=np.ascontiguousarray(self.fused[each]),
            sure=self.sure[each],
            least=self.least / 2,
        )

    def turned(self) -> "Scene":
        """The same, seen from the other side."""
        return replace(self, heights=-self.heights)

    def unveiled(self) -> "Unveiled":
        """What is to be seen without what is in front of each place."""
        return _unveiled(self.seen, *veil(self.heights, self.fused, self.least))

    def explained(self) -> tuple[float, float]:
        """Of what own planes differ from the blend, the part that veils foretell (regression).

        It is asked at some of the places that discs reach; the share of these that is veiled is
        given, too.
        """
        places, *veils = veil_of_some(
            self.heights, self.fused, self.least, among=self.sure > _SURE, most=_PLACES
        )
        seen, fused = (part.ravel()[places] for part in (self.seen, self.fused))
        view = _unveiled(seen, *veils)
        where = (view.hidden > _CLEARLY_VEILED) & (view.hidden < _MOST_VEILED)
        shown = np.sqrt(seen[where])
        foretold, found = shown - np.sqrt(view.clear[where]), shown - np.sqrt(fused[where])
        total = float(np.sum(foretold * foretold))
        part = float(np.sum(foretold * found)) / total if total > 0 else 0.0
        return part, np.count_nonzero(where) / max(len(places), 1)

    def facing(self) -> "Scene | None":
        """The scene turned so that heights are nearness; None where that does not show."""
        sides = self, self.turned()
        explained, veiled = zip(*(side.coarser().explained() for side in sides), strict=True)
        best = int(np.argmax(explained))
        shows = explained[best] > max(_EXPLAINED, _CLEARLY * explained[1 - best])
        return sides[best] if shows and veiled[best] >= _LEAST_SHARE else None


def _unveiled(seen: FloatMap, hidden: FloatMap, light: FloatMap) -> Unveiled:
    """Light of places, of whose light `hidden` is hidden and `light` put there; uses that up."""
    passing = 1 - np.minimum(hidden, np.float32(_MOST_VEILED))
    clear = as_floats(np.maximum(seen - light, 0))
    clear /= passing
    np.copyto(clear, seen, where=hidden <= _VEILED)
    light /= passing
    return Unveiled(clear, hidden, light)


def correction(own: OwnPlanes, half: FloatMap, noise: float, unit: float) -> FloatMap | None:
    """What to add to the fused luminance, at a quarter of the size; None where nothing is.

    `half`: that luminance at half size; `noise`: energy of noise alone in the units of the focus;
    `unit`: one 8-bit level in the luminance's levels.
    """
    radius_px = own.growth.radius_px()
    if radius_px is None:
        return None
    fused, full = halved(half), np.float32(_PEAK * unit)
    planes, sure = _planes(own, noise)
    growth = radius_px / _GRID
    scene = Scene(
        heights=planes * np.float32(growth),
        seen=_linear(own.light, full),
        fused=_linear(fused, full),
        sure=sure,
        least=_LEAST_PLANES * growth,
    ).facing()
    if scene is None:
        return None
    found = scene.unveiled()
    beyond = np.float32(_BEYOND_LEVELS * unit)
    shown = np.clip(np.sqrt(found.clear) * full, own.darkest - beyond, own.brightest + beyond)
    change = as_floats(shown - fused)
    trust = sure * _zone(found.hidden) * _agreeing(change, found.hidden, unit)
    trust *= _certain(found, scene.fused) * _even(scene.heights, found.hidden)
    change *= trust / (1 + np.square(change * np.float32(1 / (_MOST_LEVELS * unit))))
    return _without_specks(change, found.hidden)


def _without_specks(change: FloatMap, hidden: FloatMap) -> FloatMap:
    """The change; where veils are faint, none that a place has alone: its own plane is wrong."""
    around = cv2.medianBlur(change, _SPECK_PX)
    return as_floats(np.where(hidden > _CLEARLY_VEILED, change, around))


def _certain(found: Unveiled, fused: FloatMap) -> FloatMap:
    """How far what is left is trusted, 0 to 1, by how much light was taken away for it.

    That light is known to a share of it, which is many levels where the ground is dark.
    """
    error = found.light * np.float32(_ERROR * _PEAK / 2) / np.sqrt(np.maximum(fused, _DARKEST))
    error *= (found.hidden > _VEILED) / np.float32(_AGREE_LEVELS)
    return as_floats(1 / (1 + error * error))


def _even(heights: FloatMap, hidden: FloatMap) -> FloatMap:
    """1 where places around have one own plane, or are veiled, else 0.

    Light of unlike planes beside each other would show as specks.
    """
    apart = cv2.subtract(cv2.dilate(heights, _NEIGHBOURS), cv2.erode(heights, _NEIGHBOURS))
    return as_floats((apart < _EVEN_PX) | (hidden > _VEILED))


def _planes(own: OwnPlanes, noise: float) -> tuple[FloatMap, FloatMap]:
    """Each place's own plane, filled in where noise alone tells it, and how surely it is known."""
    found = as_floats(own.index)
    sure = as_floats(np.clip(own.focus - np.float32(np.log(noise) + _SURE_FROM), 0, 1))
    planes = fill(as_floats(cv2.medianBlur(found, 3)), sure)
    sure *= np.abs(found - planes) < _LEAST_PLANES
    return planes, sure


def _linear(levels: FloatMap, full: np.float32) -> FloatMap:
    """Light of an encoded picture: levels are about the root of light."""
    part = as_floats(np.clip(levels / full, 0, 1))
    return as_floats(np.square(part, out=part))


def _zone(hidden: FloatMap) -> FloatMap:
    """1 where veils are and around, falling softly to 0."""
    whole = np.minimum(hidden * np.float32(1 / _WHOLLY), 1)
    wide = cv2.dilate(whole, np.ones((_ZONE_PX, _ZONE_PX), np.uint8))
    return as_floats(cv2.blur(wide, (_SOFT_PX, _SOFT_PX)))


def _agreeing(change: FloatMap, hidden: FloatMap, unit: float) -> FloatMap:
    """How far veiled places are trusted, 0 to 1, by what the change is on the mean around them."""
    veiled = as_floats(hidden > _VEILED)
    size = _AROUND_PX, _AROUND_PX
    mean = cv2.blur(change * veiled, size) / np.maximum(cv2.blur(veiled, size), _TINY)
    mean *= veiled * np.float32(1 / (_AGREE_LEVELS * unit))
    return as_floats(1 / (1 + mean * mean))
