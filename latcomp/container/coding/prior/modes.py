"""How each kept token is coded: as a delta to its last kept value, or absolute, with a number of halvings of the
step.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from latcomp.container.coding.prior.neighbourhood import Neighbourhood
from latcomp.container.coding.prior.tables import TableDecoder, Tables
from latcomp.errors import UsageError
from latcomp.latents import TokenMemory

MODES = 4  # delta; absolute with 0, 1 or 2 halvings
PHASE_ORDER = (0, 3, 1, 2)
NEAR_CLASSES = 8  # mean mode of neighbours that are known, in halves; 7: none is known
CONTEXTS = 7 * NEAR_CLASSES


class ModeField:
    """The modes of one latent frame's kept positions, phase after phase."""

    def __init__(self, memory: TokenMemory, mask: np.ndarray) -> None:
        """memory: as it stands before the latent frame; mask: (P,) bool."""
        self.hood = Neighbourhood.of(memory.view)
        self.places = np.flatnonzero(mask)
        known = 1 + 2 * memory.halvings.astype(np.intp) + memory.just_kept
        self._base = np.where(memory.seen, known, 0)[self.places]
        self._modes = np.zeros(len(mask) + 1, np.int32)
        self._known = np.zeros(len(mask) + 1, np.int32)

    def steps(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(rows (n,) of the kept positions, contexts (n,) uint8) of each phase; `put` comes before the next."""
        phase = self.hood.phase[self.places]
        for number in PHASE_ORDER:
            rows = np.flatnonzero(phase == number)
            if not len(rows):
                continue
            near = self.hood.around[self.places[rows]]
            count = self._known[near].sum(1)
            total = self._modes[near].sum(1)
            mean = np.where(count > 0, (2 * total + (count >> 1)) // np.maximum(count, 1), NEAR_CLASSES - 1)
            yield rows, (self._base[rows] * NEAR_CLASSES + mean).astype(np.uint8)

    def put(self, rows: np.ndarray, modes: np.ndarray) -> None:
        """Modes (n,) that became known."""
        self._modes[self.places[rows]] = modes
        self._known[self.places[rows]] = 1

    def decode(self, coder: TableDecoder, tables: Tables) -> np.ndarray:
        """(n,) uint8 modes of all kept positions."""
        for rows, contexts in self.steps():
            self.put(rows, coder.take(contexts, tables))
        return self._modes[self.places].astype(np.uint8)


def modes_of(
    values: np.ndarray, halvings: np.ndarray, memory: TokenMemory, places: np.ndarray, units: int
) -> np.ndarray:
    """uint8 (n,) modes of tokens: 0 where all values (n, C) are whole steps from the predicted ones at places (n,) and
    halvings (n,) are those of the held values, else 1 + halvings.

    Raises `UsageError` when a token is on neither grid.
    """
    predicted = memory.predicted()[places]
    delta = _whole(values - predicted, units) & (halvings == memory.halvings[places]) & memory.seen[places]
    multiple = (units >> halvings.astype(np.int32))[:, None]
    if not (delta | _whole(values, multiple)).all():
        raise UsageError("a token's values are not whole steps of its halvings")
    return np.where(delta, 0, 1 + halvings).astype(np.uint8)


def _whole(values: np.ndarray, step: np.ndarray | int) -> np.ndarray:
    """bool (n,): whether all of values (n, C) are multiples of a power of two."""
    found: np.ndarray = ~np.bitwise_or.reduce(values & (step - 1), axis=1).astype(bool)
    return found
