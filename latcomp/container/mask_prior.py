"""Keep masks under the prior: each bit in the class of its odds, which follow from the values before and from the bits
around it.

A latent frame's bits are coded between the tokens of the latent frame before and its own, so all values up to there are
known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from latcomp.container.kinds import PHASE_ORDER
from latcomp.container.prior import ACTIVATION_MAX, MASK_FACTS, Prior
from latcomp.container.tables import TableDecoder, TableEncoder
from latcomp.errors import DamagedFileError

if TYPE_CHECKING:
    from latcomp.container.layout_prior import PriorState

BIT_ACTIVATION = 64  # of a known bit, in the plane of kept or in that of dropped positions


def mask_facts(
    octaves: np.ndarray, age: np.ndarray, before: np.ndarray, around: np.ndarray, log_step: int
) -> np.ndarray:
    """(P, MASK_FACTS) float32 activations of all positions of a latent frame before its mask is known.

    octaves, age, before: (P,) of the held values, see `PriorState`; around: (P, 9) places; log_step: sixteenths of an
    octave."""
    count = len(age)
    found = np.zeros((count, MASK_FACTS), np.float32)
    aged = np.minimum(16 * age.astype(np.float32), np.float32(ACTIVATION_MAX))
    found[:, 0] = 32 * octaves
    found[:, 1] = min(max(64 + log_step, 0), ACTIVATION_MAX)
    found[:, 2] = ACTIVATION_MAX * int(np.count_nonzero(before)) // count
    for number, least in enumerate((1, 2, 4)):
        found[:, 3 + number] = 64 * (age >= least)
    found[:, 6:15] = np.append(np.float32(64) * before, np.float32(0))[around]
    found[:, 15:24] = np.append(aged, np.float32(0))[around]
    found[:, 24:33] = 32 * (around < count)
    return found


class MaskField:
    """The bits of one latent frame's keep mask, phase after phase."""

    def __init__(self, prior: Prior, state: PriorState, log_step: int) -> None:
        """state: as it stands before the latent frame; log_step: sixteenths of an octave of the step scale."""
        self.prior, self.hood = prior, state.hood
        count = len(state.age)
        facts = mask_facts(state.octaves, state.age, state.before, state.hood.around, log_step)
        self._trunk = prior.mask_trunk(state.past(prior), state.hood.around, state.kept[:-1], facts)
        self._planes = np.zeros((count + 1, 2), np.float32)  # known to be kept, known to be dropped
        self.bits = np.zeros(count, bool)

    def steps(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(places (n,), classes (n,) uint8) of each phase; `put` comes before the next."""
        for order, number in enumerate(PHASE_ORDER):
            places = np.flatnonzero(self.hood.phase == number)
            if len(places):
                near = self._planes[self.hood.wide[places]].reshape(len(places), -1)
                yield places, self.prior.mask_classes(order, self._trunk[places], near)

    def put(self, places: np.ndarray, bits: np.ndarray) -> None:
        """Bits (n,) that became known."""
        self.bits[places] = bits
        self._planes[places, 0] = BIT_ACTIVATION * bits
        self._planes[places, 1] = BIT_ACTIVATION * ~bits


def encode_along(
    mask: np.ndarray, state: PriorState, prior: Prior, log_step: int, coder: TableEncoder
) -> Iterator[np.ndarray]:
    """The latent frames of a mask (T, P) bool; as each is asked for, its bits are coded under `state` as it then
    stands.

    Those of a segment's first latent frame are not coded: all its positions are kept.
    """
    for frame in mask:
        if not state.first:
            field = MaskField(prior, state, log_step)
            for places, classes in field.steps():
                coder.put(frame[places].astype(np.int32), classes, prior.mask_tables)
                field.put(places, frame[places])
        yield frame


def decode_along(
    mask: np.ndarray, most: int, state: PriorState, prior: Prior, log_step: int, coder: TableDecoder
) -> Iterator[np.ndarray]:
    """The latent frames of a mask (T, P) bool, each read into it as it is asked for, under `state` as it then stands.

    Raises `DamagedFileError` when the data cannot hold them, or as soon as more than `most` positions are kept.
    """
    for frame in mask:
        frame[:] = True
        if not state.first:
            try:
                coder.require(len(frame) * prior.least_bits_of_position)
                field = MaskField(prior, state, log_step)
                for places, classes in field.steps():
                    field.put(places, coder.take(classes, prior.mask_tables).astype(bool))
            except DamagedFileError as error:
                raise DamagedFileError(f"keep mask: {error}") from None
            frame[:] = field.bits
        most -= int(np.count_nonzero(frame))
        if most < 0:
            raise DamagedFileError("the keep mask has more positions than tokens are claimed")
        yield frame
