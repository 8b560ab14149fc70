"""By how many pixels one picture is moved against another: a pyramid of clipped differences, searched from coarse to
fine, so that the background counts and what moves before it does not.

Places: (dy, dx) means that place (y, x) of the one picture shows what place (y + dy, x + dx) of the other does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from latcomp.video.planes import ONE, Plane, mean_difference, mean_square, pair, pooled

Place = tuple[int, int]
REACH = 64
"""How far a picture may move against the one before, pixels each way."""
STEPS = ((0, -1), (0, 1), (-1, 0), (1, 0))
_CLIPS = {4: 24, 8: 20, 16: 16}  # levels; the means of larger blocks differ less
_FACTORS = tuple(_CLIPS)
# Pixels that a comparison looks at, in whole rows: at full size, and of means of blocks.
_SAMPLES, _POOLED_SAMPLES = 1 << 15, 1 << 13
_SMALLEST_SIDE = 32  # pixels; in smaller pictures no motion is looked for
_SMALLEST_POOLED = 8
_SEEDS, _KEPT = 4, 3  # lowest points of the coarse search that are looked at closer, and of those at each finer level
_SURE, _APART = 4, 3  # a place that fits four times better than those three places around it needs no coarse search
_CLEAR = 16  # parts of a pixel are not told where the next pixel differs by less than a 16th of what differs anyway
_ALIKE = 4  # places where the differences are within a quarter of the least are told apart at full size
_LEAST_GAIN = 16  # a move counts if it takes a 16th of the difference away


@dataclass(frozen=True)
class Picture:
    """One frame as the search needs it: whole (h, w), thinned to every `step`-th row, and as means of blocks."""

    plane: Plane
    rows: Plane
    step: int
    """Of a large picture a comparison at full size looks at some rows alone."""
    pools: dict[int, Plane]
    """By the side of the blocks: 4, 8, 16, as far as the picture is large enough."""

    @classmethod
    def of(cls, plane: Plane) -> Picture:
        """Prepare a luma plane (h, w), which must not change afterwards."""
        step = max(1, plane.size // _SAMPLES)
        pools: dict[int, Plane] = {}
        smallest = min(plane.shape)
        if smallest >= _SMALLEST_SIDE:
            pools[4] = pooled(plane, 4)
            for factor in _FACTORS[1:]:
                if smallest // factor >= _SMALLEST_POOLED:
                    pools[factor] = pooled(pools[factor // 2], 2)
        return cls(plane, np.ascontiguousarray(plane[::step]), step, pools)

    @property
    def coarse(self) -> tuple[int, Plane]:
        """The plane in which pictures are compared as a whole, and the side of its blocks: 8 if there is one."""
        for factor in (8, 4):
            if factor in self.pools:
                return factor, self.pools[factor]
        return 1, self.plane


class Match:
    """How far two pictures differ at each displacement; each is looked at once."""

    def __init__(self, here: Picture, there: Picture, factor: int, clip: int = 15) -> None:
        """factor: the level of the pyramid: 1, or the side of blocks that both have; displacements count in it.
        clip: at full size, levels above which a difference counts no more."""
        self._there = there.plane if factor == 1 else there.pools[factor]
        self._step = here.step if factor == 1 else max(1, self._there.size // _POOLED_SAMPLES)
        self._here = here.rows if factor == 1 else here.pools[factor][:: self._step]
        self._factor, self._clip = factor, clip if factor == 1 else _CLIPS[factor]
        height, width = self._there.shape
        self._limit = height * 3 // 4, width * 3 // 4  # a quarter of each side must overlap
        self._whole = here.plane if factor == 1 else here.pools[factor]
        self._known: dict[Place, int] = {}

    def at(self, place: Place) -> int:
        """Return the mean difference in 256ths: of clipped squares at full size, of clipped levels at others."""
        if place not in self._known:
            one, other = pair(self._here, self._there, *place, self._step)
            if abs(place[0]) > self._limit[0] or abs(place[1]) > self._limit[1]:
                one, other = one[:0], other[:0]
            compare = mean_square if self._factor == 1 else mean_difference
            self._known[place] = compare(one, other, self._clip)
        return self._known[place]

    def descend(self, place: Place, tall: int = 1, most: int = 8) -> Place:
        """Go from a place to its best neighbour as long as there is a better one, `most` times at most.

        tall: the vertical step: 2 where lines belong to two woven fields."""
        for _ in range(most):
            best = place
            for dy, dx in STEPS:
                beside = place[0] + dy * tall, place[1] + dx
                if self.at(beside) < self.at(best):
                    best = beside
            if best == place:
                break
            place = best
        return place

    def is_sure(self, place: Place) -> bool:
        """Tell whether a place fits so much better than those around it that no other needs to be looked for."""
        around = [self.at((place[0] + _APART * dy, place[1] + _APART * dx)) for dy, dx in STEPS]
        return self.at(place) * _SURE * len(around) < sum(around)

    def lows(self) -> list[Place]:
        """Return the lowest few of all low points within reach, the best first; of equal ones the nearest."""
        tall, wide = (min(REACH // self._factor, side // 2) for side in self._there.shape)
        costs = _all_differences(self._whole, self._there, tall, wide, self._clip)
        rim = np.pad(costs, 1, constant_values=np.iinfo(costs.dtype).max)
        around = sliding_window_view(rim, (3, 3)).min((2, 3))
        found = [(int(y) - tall, int(x) - wide) for y, x in zip(*np.nonzero(costs <= around), strict=True)]
        cost = {place: int(costs[place[0] + tall, place[1] + wide]) for place in found}
        return sorted(found, key=lambda place: (cost[place], length(place), place))[:_SEEDS]


def length(place: Place) -> int:
    """Return how far a displacement goes, down and across together."""
    return abs(place[0]) + abs(place[1])


def _all_differences(here: Plane, there: Plane, tall: int, wide: int, clip: int) -> npt.NDArray[np.int64]:
    """Return the mean clipped differences of two planes at all displacements, (2 tall + 1, 2 wide + 1), in 256ths."""
    height, width = here.shape
    around = np.pad(there.astype(np.int16), ((tall, tall), (wide, wide)))
    seen = np.pad(np.ones(here.shape, np.int16), ((tall, tall), (wide, wide)))
    difference = sliding_window_view(around, here.shape) - here.astype(np.int16)
    np.abs(difference, out=difference)
    np.minimum(difference, clip, out=difference)
    difference *= sliding_window_view(seen, here.shape)
    rows = height - np.abs(np.arange(-tall, tall + 1))
    columns = width - np.abs(np.arange(-wide, wide + 1))
    sums: npt.NDArray[np.int64] = difference.sum((2, 3), dtype=np.int64)
    means: npt.NDArray[np.int64] = sums * ONE // np.multiply.outer(rows, columns)
    return means


def rough_move(here: Picture, there: Picture, expected: Place) -> Place:
    """Return the displacement of a picture against the one before it, right to about two pixels; (0, 0) where no other
    is clearly better.

    expected: a displacement to try beside none and the best of a coarse search of the whole reach."""
    if not here.pools:
        return 0, 0
    factors = sorted(here.pools, reverse=True)
    ranked: list[Place] = []
    for factor in factors:
        match = Match(here, there, factor)
        near = (0, 0), (nearest(expected[0], factor), nearest(expected[1], factor))
        if factor != factors[0]:
            seeds = {*near, *((2 * dy, 2 * dx) for dy, dx in ranked[:_KEPT])}
        elif any(match.is_sure(match.descend(seed, most=2)) for seed in near):
            seeds = {*near}
        else:
            seeds = {*near, *match.lows()}
        found = {match.descend(seed, most=2) for seed in seeds}
        ranked = sorted(found, key=lambda place: (match.at(place), length(place), place))
    none, least = match.at((0, 0)), match.at(ranked[0])
    if none - least <= none // _LEAST_GAIN + ONE // 16:
        return 0, 0
    alike = [place for place in ranked if match.at(place) <= least + least // _ALIKE + ONE // 2]
    if least <= ONE:  # nearly perfect, as patterns drawn by a computer are, which fit again and again
        alike += sorted({match.descend(place, most=2) for place in near} - {*alike})
    alike = [(dy * factor, dx * factor) for dy, dx in alike]
    return alike[0] if len(alike) == 1 else _nearest_of(alike, Match(here, there, 1), expected)


def _nearest_of(places: list[Place], match: Match, expected: Place) -> Place:
    """Return the place nearest to none or to the one expected, of those that fit about equally well at full size.

    A repeating pattern fits at many places, and means of blocks tell them apart by chance."""
    found = [match.descend(place) for place in places]
    most = min(match.at(place) for place in found)
    most += most // _LEAST_GAIN + ONE
    away = [
        (min(length(place), length((place[0] - expected[0], place[1] - expected[1]))), length(place), place)
        for place in found
        if match.at(place) <= most
    ]
    return min(away)[2]


def nearest(value: int, unit: int) -> int:
    """Return how many times `unit` is nearest to `value`; halves go up."""
    return (2 * value + unit) // (2 * unit)


def between_pixels(match: Match, place: Place, tall: int) -> tuple[Place, int]:
    """Return what is missing to a whole displacement, in 256ths of a pixel, and the difference that would be left.

    Both are the lowest point of a parabola through the differences there and at the neighbours, down and across: so
    two pictures half a pixel apart count as alike as two that are whole pixels apart."""
    parts, left = [], match.at(place)
    for dy, dx in ((tall, 0), (0, 1)):
        before, after = match.at((place[0] - dy, place[1] - dx)), match.at((place[0] + dy, place[1] + dx))
        bend = before + after - 2 * match.at(place)
        unit = (dy + dx) * ONE
        part = 0
        if bend * _CLEAR > match.at(place):
            part = max(-unit // 2, min(unit // 2, (before - after) * unit // (2 * bend)))
            left -= (before - after) ** 2 // (8 * bend)
        parts.append(part)
    return (parts[0], parts[1]), max(0, left)
