"""What kind each kept token is: going on from its last kept value, or standing on a grid of its own with so many
halvings of the step.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from latcomp.container.prior import Neighbourhood
from latcomp.container.tables import TableDecoder, TableEncoder, Tables

KINDS = 4  # goes on; own grid with 0, 1 or 2 halvings
PHASE_ORDER = (0, 3, 1, 2)
NEAR_CLASSES = 8  # mean kind of neighbours that are known, in halves; 7: none is known
CONTEXTS = 7 * NEAR_CLASSES


class KindField:
    """The kinds of one latent frame's kept positions, phase after phase."""

    def __init__(
        self, hood: Neighbourhood, mask: np.ndarray, octaves: np.ndarray, before: np.ndarray, first: bool
    ) -> None:
        """mask, octaves, before: (P,), of the positions before the latent frame is known."""
        self.hood = hood
        self.places = np.flatnonzero(mask)
        self._base = (
            np.zeros(len(self.places), np.intp)
            if first
            else 1 + 2 * octaves[self.places].astype(np.intp) + before[self.places]
        )
        self._kinds = np.zeros(len(mask) + 1, np.int32)
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
            total = self._kinds[near].sum(1)
            mean = np.where(count > 0, (2 * total + (count >> 1)) // np.maximum(count, 1), NEAR_CLASSES - 1)
            yield rows, (self._base[rows] * NEAR_CLASSES + mean).astype(np.uint8)

    def put(self, rows: np.ndarray, kinds: np.ndarray) -> None:
        """Kinds (n,) that became known."""
        self._kinds[self.places[rows]] = kinds
        self._known[self.places[rows]] = 1

    def encode(self, kinds: np.ndarray, coder: TableEncoder, tables: Tables) -> None:
        """Append kinds (n,) of all kept positions."""
        for rows, contexts in self.steps():
            coder.put(kinds[rows].astype(np.int32), contexts, tables)
            self.put(rows, kinds[rows])

    def decode(self, coder: TableDecoder, tables: Tables) -> np.ndarray:
        """(n,) uint8 kinds of all kept positions."""
        for rows, contexts in self.steps():
            self.put(rows, coder.take(contexts, tables))
        return self._kinds[self.places].astype(np.uint8)
