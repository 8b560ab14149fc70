"""The places around each position, and the order in which the prior codes positions and channels.

Positions fall into four phases of a checkerboard, channels into four groups; pass after pass each phase codes another
group, so that every value sees what most of its neighbours have of its channel (checkerboard contexts, arXiv
2103.15306, and channel-wise ones, arXiv 2007.08739).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from latcomp.latents import FrameView

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
    """The places around each position in view, row by row, and the phases; place P stands for what is not visible.

    around: (P, 9) intp; wide: (P, 25) intp; phase: (P,) uint8, by the place in the world.
    """

    around: np.ndarray
    wide: np.ndarray
    phase: np.ndarray

    @classmethod
    @lru_cache(maxsize=3)  # without camera motion every segment of a file needs the same
    def of(cls, view: FrameView) -> Neighbourhood:
        """The neighbourhood of what a latent frame shows. Nobody changes it."""
        rows, columns = view.box.shape
        reach = MASK_SIDE // 2
        framed = np.full((rows + 2 * reach, columns + 2 * reach), view.count, np.intp)
        framed[reach : reach + rows, reach : reach + columns] = view.index
        at = (view.places // columns + reach) * framed.shape[1] + view.places % columns + reach
        flat = framed.reshape(-1)

        def square(side: int) -> np.ndarray:
            steps = np.arange(side) - side // 2
            found: np.ndarray = flat[at[:, None] + (steps[:, None] * framed.shape[1] + steps).reshape(-1)]
            return found

        y, x = view.world
        return cls(square(3), square(MASK_SIDE), (2 * (y % 2) + x % 2).astype(np.uint8))
