"""The order in which positions of a latent frame are coded, coarse to fine, and the neighbours each one may look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

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
    """The positions of one pass in a grid, as places y * columns + x in rising order."""

    number: int
    places: np.ndarray
    """(n,) intp."""
    neighbours: np.ndarray
    """(k, n) intp: places of the k neighbours; rows * columns where one lies outside."""
    share: np.ndarray
    """(n, 1) int32: `NEIGHBOUR_SHARE` of each place."""


@lru_cache(maxsize=2)  # every segment of a file needs the same
def passes_of(rows: int, columns: int) -> list[PassPositions]:
    """The passes of a grid in coding order; together they hold every position once. Nobody changes them."""
    found = []
    y, x = np.divmod(np.arange(rows * columns), columns)
    for number, rule in enumerate(PASSES):
        belongs = np.zeros(rows * columns, bool)
        for row, column in zip(rule.row, rule.column, strict=True):
            belongs |= (y % rule.step == row) & (x % rule.step == column)
        places = np.flatnonzero(belongs)
        neighbours = np.full((len(rule.offsets), len(places)), rows * columns, np.intp)
        inside = np.zeros(len(places), np.intp)
        for neighbour, (down, right) in zip(neighbours, rule.offsets, strict=True):
            beside_y, beside_x = y[places] + down, x[places] + right
            within = (beside_y >= 0) & (beside_y < rows) & (beside_x >= 0) & (beside_x < columns)
            neighbour[within] = (beside_y * columns + beside_x)[within]
            inside += within
        share = np.array(NEIGHBOUR_SHARE, np.int32)[inside][:, None]
        found.append(PassPositions(number, places, neighbours, share))
    return found
