"""Camera motion: where in its world each frame lies, followed from frame to frame in whole pixels.

Whole numbers alone, so that every machine finds the same offsets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latcomp.errors import UsageError
from latcomp.video.displacement import Match, Picture, Place, between_pixels, length, nearest, rough_move
from latcomp.video.likeness import change_of_light, difference, is_cut, is_flat, relit
from latcomp.video.planes import ONE, Plane, inside, mean_difference, pair

MOTION_CLIP = 32
"""Differences of more levels count as this many in `CameraMotion`."""
_HOLD = ONE * 3 // 4  # an offset stays until the camera's place is further away than this, so that it does not flicker
_STAY = 32  # against the anchor, a step from where the camera was must take a 32nd of the difference away
# How much worse than the frame before an anchor may fit, mean squares: so much more at all, and so many times. A slow
# camera gains from places that last; a fast one, whose picture turns and grows too, from frames that fit each other.
_WORSE_SLOW = 12 * ONE, (3, 1)
_WORSE_FAST = 12 * ONE, (2, 1)
_FAST = 2  # pixels a frame
_FINE_CLIP = 32  # levels
_SNAP = ONE * 3 // 8  # less than this since the last anchor is no motion


@dataclass(frozen=True)
class CameraMotion:
    """Where a frame lies, and how well it fits there."""

    offset: Place
    """(dy, dx), whole pixels from the frame's own corner to the world's: world place = frame place + offset."""
    cut: bool
    """The frame has too little in common with those before: a new world begins with it, at offset (0, 0)."""
    still: int
    """Mean difference to the frame before at the same place in the picture, in 256ths of a level, clipped at 32
    levels; 0 at a beginning."""
    moved: int
    """The same at the same place in the world, where the two overlap."""
    shared: int
    """The overlap, pixels; those of a frame at a beginning and 0 at a cut."""


class CameraTracker:
    """Follows a camera through frames given in order.

    A frame is matched against an anchor, an earlier frame of the same world, not against the one before, so that
    rounding does not add up. When too little of the anchor is in view, or the frame before fits much better, that one
    becomes the anchor, with its place known to parts of a pixel. Memory: three frames."""

    def __init__(self, *, woven: bool = False) -> None:
        """woven: frames are of two woven fields, so that only even vertical offsets keep their lines apart."""
        self._tall = 2 if woven else 1
        self.restart()

    def restart(self) -> None:
        """Forget all frames: the next one begins a new world at offset (0, 0)."""
        self._last: Picture | None = None
        self._usual = MOTION_CLIP * ONE  # unknown: nothing is sudden

    def _begin(self, picture: Picture) -> None:
        self._last = self._anchor = picture
        self._place: Place = (0, 0)  # of the last frame, in 256ths of a pixel
        self._anchor_place: Place = (0, 0)
        self._offset: Place = (0, 0)
        self._velocity: Place = (0, 0)

    def follow(self, luma: Plane) -> CameraMotion:
        """Return where the next frame lies.

        luma: (h, w) uint8, not changed afterwards; a frame of another size than the last begins a new world. Raises
        UsageError for an array of another kind."""
        if luma.dtype != np.uint8 or luma.ndim != 2 or not luma.size:
            raise UsageError(f"a plane of shape {luma.shape} and type {luma.dtype} is no luma: give (h, w) of uint8")
        picture, last = Picture.of(luma), self._last
        if last is None or last.plane.shape != luma.shape:
            self._begin(picture)
            return CameraMotion((0, 0), last is not None, 0, 0, 0 if last else luma.size)
        still = self._apart(picture, last, (0, 0))
        if is_flat(picture):
            return self._wait(picture, last, still)
        light = change_of_light(picture, last)
        lit = Picture.of(relit(luma, light)) if light else picture
        move = rough_move(lit, last, self._velocity)
        apart = difference(picture, last, move)
        if is_cut(picture, last, move, apart, self._usual):
            self._begin(picture)
            return CameraMotion((0, 0), True, still, still, 0)
        if light and self._anchor is not last:
            self._anchor, self._anchor_place = last, self._place  # older ones show another light
        self._place = self._find(lit, last, move)
        self._usual = apart
        before = self._offset
        self._offset = self._held(self._place[0], before[0], self._tall), self._held(self._place[1], before[1], 1)
        self._velocity = self._offset[0] - before[0], self._offset[1] - before[1]
        self._last = picture
        moved = self._apart(picture, last, self._velocity) if any(self._velocity) else still
        return CameraMotion(self._offset, False, still, moved, _shared(luma.shape, self._velocity))

    def _wait(self, picture: Picture, last: Picture, still: int) -> CameraMotion:
        """A frame with nothing to follow stays where the last one was, which is kept to go on from: after a flash the
        scene is the same."""
        self._velocity = (0, 0)
        if is_flat(last):
            self._last = picture
        return CameraMotion(self._offset, False, still, still, picture.plane.size)

    def _find(self, picture: Picture, last: Picture, move: Place) -> Place:
        """Return a frame's place in 256ths of a pixel."""
        place, left = self._against_anchor(picture, move)
        if self._anchor is not last:
            match = Match(picture, last, 1)
            _, near = between_pixels(match, match.descend(self._even(move), self._tall), self._tall)
            by, (times, over) = _WORSE_FAST if length(move) >= _FAST else _WORSE_SLOW
            away = nearest(place[0] - self._anchor_place[0], ONE), nearest(place[1] - self._anchor_place[1], ONE)
            few = _shared(picture.plane.shape, away) * 2 < picture.plane.size
            if few or (left - by) * over > near * times:
                self._move_anchor(last)
                place, _ = self._against_anchor(picture, move)
        return place

    def _against_anchor(self, picture: Picture, move: Place) -> tuple[Place, int]:
        """Return a frame's place, in 256ths of a pixel, as the anchor shows it, and the difference to the anchor."""
        match = Match(picture, self._anchor, 1)
        rest = self._place[0] - self._anchor_place[0], self._place[1] - self._anchor_place[1]
        tall = self._tall
        start = nearest(rest[0] + move[0] * ONE, tall * ONE) * tall, nearest(rest[1] + move[1] * ONE, ONE)
        found = match.descend(start, tall)
        if move == (0, 0) and match.at(start) - match.at(found) <= match.at(start) // _STAY:
            found = start
        part, left = between_pixels(match, found, tall)
        base = self._anchor_place
        return (base[0] + found[0] * ONE + part[0], base[1] + found[1] * ONE + part[1]), left

    def _even(self, move: Place) -> Place:
        return move[0] // self._tall * self._tall, move[1]

    def _move_anchor(self, last: Picture) -> None:
        """Make the last frame the anchor, at the place where the old one shows it: found with a clip that distorts
        parts of a pixel less, since what is wrong with it stays. Where they are hardly apart the old place stays, so
        that noise does not add up to motion."""
        old, new = self._anchor_place, self._place
        whole = nearest(new[0] - old[0], self._tall * ONE) * self._tall, nearest(new[1] - old[1], ONE)
        part, _ = between_pixels(Match(last, self._anchor, 1, _FINE_CLIP), whole, self._tall)
        away = whole[0] * ONE + part[0], whole[1] * ONE + part[1]
        self._anchor_place = (
            old[0] + (away[0] if abs(away[0]) >= _SNAP else 0),
            old[1] + (away[1] if abs(away[1]) >= _SNAP else 0),
        )
        self._anchor, self._place = last, self._anchor_place

    @staticmethod
    def _held(place: int, offset: int, unit: int) -> int:
        """The offset, unless the place has left it behind."""
        return offset if abs(place - offset * ONE) < _HOLD * unit else nearest(place, unit * ONE) * unit

    @staticmethod
    def _apart(picture: Picture, last: Picture, move: Place) -> int:
        return mean_difference(*pair(picture.rows, last.plane, *move, picture.step), MOTION_CLIP)


def _shared(shape: tuple[int, ...], move: Place) -> int:
    """Return how many pixels two frames share when one is moved against the other."""
    sides = [max(0, end - first) for first, end in (inside(side, by) for side, by in zip(shape, move, strict=True))]
    return sides[0] * sides[1]
