"""Keep masks under the prior: each bit in the class of its odds, which follow from the values before and from the bits
around it.

A latent frame's bits are coded between the tokens of the latent frame before and its own, so all values up to there are
known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from latcomp.container.coding.prior.modes import PHASE_ORDER
from latcomp.container.coding.prior.neighbourhood import Neighbourhood
from latcomp.container.coding.prior.network import ACTIVATION_MAX, MASK_FACTS, Past, Prior
from latcomp.container.coding.prior.tables import TableDecoder
from latcomp.latents import TokenMemory

BIT_ACTIVATION = 64  # of a known bit, in the plane of kept or in that of dropped positions


def mask_facts(memory: TokenMemory, log_step: int) -> np.ndarray:
    """uint8 (P, MASK_FACTS) activations of all positions of a latent frame before its mask is known.

    memory: as it stands before the latent frame; log_step: sixteenths of an octave of the step scale."""
    around, age, before = Neighbourhood.of(memory.view).around, memory.age, memory.just_kept
    count = len(age)
    found = np.zeros((count, MASK_FACTS), np.uint8)
    aged = (16 * np.minimum(age, ACTIVATION_MAX)).clip(max=ACTIVATION_MAX).astype(np.uint8)
    found[:, 0] = 32 * memory.halvings
    found[:, 1] = min(max(64 + log_step, 0), ACTIVATION_MAX)
    found[:, 2] = ACTIVATION_MAX * int(np.count_nonzero(before)) // count
    for number, least in enumerate((1, 2, 4)):
        found[:, 3 + number] = 64 * (age >= least)
    found[:, 6:15] = np.append(np.uint8(64) * before, np.uint8(0))[around]
    found[:, 15:24] = np.append(aged, np.uint8(0))[around]
    found[:, 24:33] = np.uint8(32) * (around < count)
    return found


class MaskField:
    """The bits of one latent frame's keep mask, phase after phase."""

    def __init__(self, prior: Prior, memory: TokenMemory, past: Past, log_step: int) -> None:
        """memory: as it stands before the latent frame, past: what the prior makes of it; log_step:
        sixteenths of an octave of the step scale."""
        self.prior, self.hood = prior, Neighbourhood.of(memory.view)
        facts = mask_facts(memory, log_step)
        self._trunk = prior.mask_trunk(past, self.hood.around, facts)
        self._planes = np.zeros((memory.positions + 1, 2), np.uint8)  # known to be kept, known to be dropped
        self._pairs = self._planes.view(np.uint16)[:, 0]
        self._open = memory.seen
        self.bits = ~memory.seen  # what is shown for the first time is kept
        self._planes[:-1, 0] = BIT_ACTIVATION * self.bits

    def steps(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(places (n,), classes (n,) uint8) of each phase; `put` comes before the next."""
        for order, number in enumerate(PHASE_ORDER):
            places = np.flatnonzero((self.hood.phase == number) & self._open)
            if len(places):
                near = self._pairs.take(self.hood.wide[places]).view(np.uint8)
                yield places, self.prior.mask_classes(order, self._trunk[places], near)

    def put(self, places: np.ndarray, bits: np.ndarray) -> None:
        """Bits (n,) that became known."""
        self.bits[places] = bits
        self._planes[places, 0] = BIT_ACTIVATION * bits
        self._planes[places, 1] = BIT_ACTIVATION * ~bits

    def decode(self, coder: TableDecoder) -> np.ndarray:
        """(P,) bool. Raises `DamagedFileError` when the data cannot hold them."""
        coder.require(int(np.count_nonzero(self._open)) * self.prior.least_bits_of_position)
        for places, classes in self.steps():
            self.put(places, coder.take(classes, self.prior.mask_tables).astype(bool))
        return self.bits
