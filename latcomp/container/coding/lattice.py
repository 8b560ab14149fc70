"""The order in which positions of a latent frame are coded, coarse to fine, and the neighbours each one may look at.

The order follows from their places in the world."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from latcomp.latents import FrameView

DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))
DIRECT = ((-1, 0), (0, -1), (0, 1), (1, 0))


@dataclass(frozen=True)
class PassRule:
    """Which positions one pass codes, and where their four neighbours are."""

    step: int
    row: tuple[int, ...]
    """Rows modulo `step`."""
    column: tuple[int, ...]
    """Columns modulo `step`, one for each of `row`."""
    offsets: tuple[tuple[int, int], ...]
    """(rows, columns) to each neighbour; all of them belong to earlier passes."""


def _scaled(offsets: tuple[tuple[int, int], ...], by: int) -> tuple[tuple[int, int], ...]:
    return tuple((by * y, by * x) for y, x in offsets)


PASSES = (
    PassRule(4, (0,), (0,), ()),
    PassRule(4, (2,), (2,), _scaled(DIAGONAL, 2)),
    PassRule(4, (0, 2), (2, 0), _scaled(DIRECT, 2)),
    PassRule(2, (1,), (1,), DIAGONAL),
    PassRule(2, (0, 1), (1, 0), DIRECT),
)
NEIGHBOUR_SHARE = (0, 64, 32, 21, 16)  # by number of neighbours inside the grid: 64 over it, rounded down


@dataclass(frozen=True)
class PassPositions:
    """The positions of one pass among those in view, as numbers in rising order."""

    number: int
    places: np.ndarray
    """(n,) intp."""
    neighbours: np.ndarray
    """(k, n) intp: places of the k neighbours; P where one is not visible."""
    share: np.ndarray
    """(n, 1) int32: `NEIGHBOUR_SHARE` of each place."""


@lru_cache(maxsize=3)  # without camera motion every segment of a file needs the same
def passes_of(view: FrameView) -> list[PassPositions]:
    """The passes over what a latent frame shows, in coding order; together they hold every visible position once.
    Nobody changes them.
    """
    found = []
    y, x = view.world
    for number, rule in enumerate(PASSES):
        belongs = np.zeros(view.count, bool)
        for row, column in zip(rule.row, rule.column, strict=True):
            belongs |= (y % rule.step == row) & (x % rule.step == column)
        places = np.flatnonzero(belongs)
        neighbours = np.empty((len(rule.offsets), len(places)), np.intp)
        for neighbour, (down, right) in zip(neighbours, rule.offsets, strict=True):
            neighbour[:] = view.number_at(y[places] + down, x[places] + right)
        inside = np.count_nonzero(neighbours < view.count, axis=0)
        share = np.array(NEIGHBOUR_SHARE, np.int32)[inside][:, None]
        found.append(PassPositions(number, places, neighbours, share))
    return found
