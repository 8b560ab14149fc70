"""Keep masks by tables: each bit under a context of its own past, its neighbours' past and its neighbours that are known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from latcomp.container.kinds import PHASE_ORDER
from latcomp.container.prior import Neighbourhood
from latcomp.container.tables import TableDecoder, TableEncoder, Tables

AGES = np.array([0, 1, 2, 2, 3], np.intp)  # class of an age, 4 and above count as the last
NEAR_BEFORE = np.array([0, 1, 1, 2, 2, 2, 3, 3, 3, 3], np.intp)  # class of the number of places around that were kept before
NEAR_NOW = 6  # none known; none kept; up to a third; up to two thirds; more; all
CONTEXTS = 4 * 4 * 4 * NEAR_NOW


class MaskField:
    """The bits of one latent frame's keep mask, phase after phase."""

    def __init__(self, hood: Neighbourhood, age: np.ndarray, before: np.ndarray) -> None:
        """age: (P,) latent frames since each position was kept; before: (P,) bool, whether the latent frame before kept it."""
        self.hood = hood
        around = np.append(before, False)[hood.around]
        near = around.sum(1) - around[:, 4]
        self._base = (AGES[np.minimum(age, 4)] * 4 + NEAR_BEFORE[near]) * NEAR_NOW
        self.bits = np.zeros(len(age) + 1, bool)
        self._known = np.zeros(len(age) + 1, bool)

    def steps(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(places (n,), contexts (n,) uint16) of each phase; `put` comes before the next."""
        for order, number in enumerate(PHASE_ORDER):
            places = np.flatnonzero(self.hood.phase == number)
            if not len(places):
                continue
            near = self.hood.around[places]
            known, kept = self._known[near].sum(1), self.bits[near].sum(1)
            share = np.where(kept == known, 5, np.where(3 * kept <= known, 2, np.where(3 * kept <= 2 * known, 3, 4)))
            share = np.where(known == 0, 0, np.where(kept == 0, 1, share))
            yield places, (order * 16 * NEAR_NOW + self._base[places] + share).astype(np.uint16)

    def put(self, places: np.ndarray, bits: np.ndarray) -> None:
        """Bits (n,) that became known."""
        self.bits[places] = bits
        self._known[places] = True


def _fields(frames: int, hood: Neighbourhood, age: np.ndarray, before: np.ndarray) -> Iterator[MaskField]:
    """One field after the other; each must be complete before the next is asked for."""
    age, before = age.astype(np.intp), before.copy()
    for _ in range(frames):
        field = MaskField(hood, age, before)
        yield field
        before = field.bits[:-1]
        age = np.where(before, 0, age + 1)


def encode_mask_bits(mask: np.ndarray, hood: Neighbourhood, age: np.ndarray, before: np.ndarray, tables: Tables) -> bytes:
    """Bytes of keep masks (T, P) bool; age, before: (P,) as they stand before the first of them."""
    coder = TableEncoder()
    for bits, field in zip(mask, _fields(len(mask), hood, age, before), strict=True):
        for places, contexts in field.steps():
            coder.put(bits[places].astype(np.int32), contexts, tables)
            field.put(places, bits[places])
    return coder.finish()


def decode_mask_bits(
    data: bytes | memoryview, frames: int, hood: Neighbourhood, age: np.ndarray, before: np.ndarray, tables: Tables
) -> np.ndarray:
    """(frames, P) bool. Raises `DamagedFileError` when the data do not give exactly these."""
    coder = TableDecoder(data)
    found = []
    for field in _fields(frames, hood, age, before):
        for places, contexts in field.steps():
            field.put(places, coder.take(contexts, tables).astype(bool))
        found.append(field.bits[:-1])
    coder.check_end()
    return np.stack(found) if found else np.zeros((0, len(age)), bool)
