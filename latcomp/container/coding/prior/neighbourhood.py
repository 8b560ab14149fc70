"""The places around each position, and the order in which the prior codes positions and channels.

Positions fall into four phases of a checkerboard, channels into four groups; pass after pass each phase codes another
group, so that every value sees what most of its neighbours have of its channel (checkerboard contexts, arXiv
2103.15306, and channel-wise ones, arXiv 2007.08739).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

PASSES = 4
PHASES = 4
PHASE_LEAD = (0, 2, 3, 1)
"""By phase 2 * (y % 2) + x % 2: how many passes earlier its channels come. In pass k, phase f codes channels c % 4 = (k
+ lead) % 4.
"""
MASK_SIDE = 5  # places a side that a bit of a keep mask sees of what is known of its latent frame


def group_of(phase: int, number: int) -> int:
    """The channels c with c % 4 equal to this are coded in pass `number` at positions of `phase`."""
    return (number + PHASE_LEAD[phase]) % PASSES


def known_before(phase: int, number: int, group: int) -> bool:
    """Whether positions of `phase` have their channels of `group` coded before pass `number`."""
    return (group - PHASE_LEAD[phase]) % PASSES < number


@dataclass(frozen=True)
class Neighbourhood:
    """The places around each position of a grid, row by row, and the phases; place rows * columns stands for outside.

    around: (P, 9) intp; wide: (P, 25) intp; phase: (P,) uint8.
    """

    around: np.ndarray
    wide: np.ndarray
    phase: np.ndarray

    @classmethod
    @lru_cache(maxsize=2)  # every segment of a file needs the same
    def of(cls, rows: int, columns: int) -> Neighbourhood:
        """The neighbourhood of a grid. Nobody changes it."""
        y, x = np.divmod(np.arange(rows * columns), columns)

        def square(side: int) -> np.ndarray:
            found = np.empty((rows * columns, side * side), np.intp)
            for index in range(side * side):
                near_y, near_x = y + index // side - side // 2, x + index % side - side // 2
                inside = (near_y >= 0) & (near_y < rows) & (near_x >= 0) & (near_x < columns)
                found[:, index] = np.where(inside, near_y * columns + near_x, rows * columns)
            return found

        return cls(square(3), square(MASK_SIDE), (2 * (y % 2) + x % 2).astype(np.uint8))
