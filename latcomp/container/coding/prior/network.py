"""The learned prior: a small network of whole numbers that says, for each value of a token, where it probably lies and
how surely.

Everything is integer arithmetic: activations are whole numbers of 1/32 from 0 to 127, weights of 1/256 from -127 to
127, so sums are exact in any order and every machine finds the same, whatever multiplies (`latcomp.kernels`). The
network sees, of the position and its eight neighbours, the last kept values, the change before, and what of this latent
frame is already known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from latcomp.container.coding.prior.layers import Layers, MaskLayers
from latcomp.container.coding.prior.neighbourhood import PASSES, PHASES, group_of
from latcomp.container.coding.prior.tables import PRECISION, Tables
from latcomp.kernels import ACTIVATION_MAX, FLOATS, WEIGHT_SHIFT, Kernels, SignedTable, neighbours

__all__ = ["ACTIVATION_MAX", "WEIGHT_SHIFT", "Facts", "Past", "Prior"]

FACTS = 24
MASK_FACTS = 33
MASK_CLASSES = 64  # classes of odds, a quarter of a nat apart
MASK_SHIFT = 9  # from a sum in 1/8192 to a class
SQUASH_LIMIT = 4095
MEAN_BITS = 4  # means are in 1/16 units: a step is at least four, so the network's own part is in 1/64 steps
GATE_MAX, SHARE_MIN = 1536, -512  # bounds of gate and share, in 1/1024
SCALE_OCTAVE = 4  # scale classes an octave
SCALE_LOW = -18  # class 0 is 2**(-18 / 4) steps
SCALES = 44
FRACTIONS = 5  # the mean lies 0/8 to 4/8 of a step away from a whole number
FRACTION_BITS = 3
ESCAPES = 1 << 18  # distances that an escape can tell apart
ESCAPE_BITS = 18.0


def reach(scale: int) -> int:
    """Largest distance to the nearest whole multiple that a table of this scale class holds; beyond stands an
    escape.
    """
    return int(min(max(np.ceil(12 * 2.0 ** ((scale + SCALE_LOW) / SCALE_OCTAVE)) + 2, 3), 127))


REACH = np.array([reach(scale) for scale in range(SCALES)], np.int32)


def squash_table() -> np.ndarray:
    """(SQUASH_LIMIT + 1,) float32: magnitudes of symbols, in units, to activations: round(16 * log2(1 + m / 4)), at
    most 127.
    """
    size = np.arange(SQUASH_LIMIT + 1)
    return np.minimum(np.floor(16 * np.log2(1 + size / 4) + 0.5), ACTIVATION_MAX).astype(np.float32)


_SQUASH = SignedTable(squash_table())


def squash(symbols: np.ndarray) -> np.ndarray:
    """uint16 (...) activations of int32 symbols (...): one for what is above zero, one for what is below, as two bytes
    that stand together."""
    return _SQUASH(symbols)


@dataclass(frozen=True)
class Facts:
    """What is known of the kept positions of a latent frame beside values, each (n,) or (n, 9).

    mode: 0 is a delta to the last kept value, 1 + halvings stands on its own; halvings: of the held value; age:
    latent frames since it was kept; before: whether the position was kept in the latent frame before; mask: (n, 9)
    which places around are kept; first: whether it is shown for the first time."""

    mode: np.ndarray
    halvings: np.ndarray
    age: np.ndarray
    before: np.ndarray
    mask: np.ndarray
    first: np.ndarray
    log_step: int
    """Sixteenths of an octave of the step scale."""

    def activations(self) -> np.ndarray:
        """uint8 (n, FACTS) activations."""
        count = len(self.mode)
        found = np.zeros((count, FACTS), np.uint8)
        found[np.arange(count), self.mode] = 64
        found[:, 4] = 32 * self.halvings
        found[:, 5] = np.minimum(16 * self.age, ACTIVATION_MAX)
        found[:, 6] = 64 * self.before
        found[:, 7] = 64 * self.first
        found[:, 8] = min(max(64 + self.log_step, 0), ACTIVATION_MAX)
        found[:, 9:18] = 32 * self.mask
        return found


@dataclass(frozen=True)
class Past:
    """What the prior makes of a segment's memory, for the masks and the tokens of the next latent frame alike."""

    around: np.ndarray
    """uint8 (P + 1, E) activations of all positions; each covers its eight neighbours, so that `Prior.trunk` sees five
    places each way."""
    kept: np.ndarray
    """uint8 (P + 1, 2C): the last kept values as `squash` gives them."""


class Prior:
    """The network's weights and the coding tables; made once a model and shared by all segments."""

    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        sha256: str,
        name: str,
        fingerprint: str | None = None,
        kernels: Kernels = FLOATS,
    ) -> None:
        """arrays: the int8, int32 and uint32 tensors of `weights/prior-*/model.safetensors`; see FORMAT.md for their
        shapes.

        fingerprint: over weights and configuration; None where there is no configuration to compare. kernels: what
        multiplies, at whatever speed; the integers are the same.
        """
        self.sha256, self.name, self.fingerprint = sha256, name, fingerprint
        self.arrays, self.kernels = arrays, kernels
        self.channels = int(arrays["own"].shape[0])

    @cached_property
    def layers(self) -> Layers:
        """The weights, made ready for many products."""
        return Layers.of(self.arrays, self.kernels)

    @cached_property
    def mask_layers(self) -> MaskLayers:
        """Those for keep masks."""
        return MaskLayers.of(self.arrays, self.kernels)

    def past(self, kept: np.ndarray, change: np.ndarray, around: np.ndarray) -> Past:
        """Of the last kept values and the change before, each (P + 1, C) int32. around: (P, 9) places."""
        values = np.empty((len(kept), 2 * self.channels), np.uint16)
        values[:, : self.channels] = squash(kept)
        values[:, self.channels :] = squash(change)
        pairs = values.view(np.uint8)
        embedded = self.layers.embed.activations(pairs)
        embedded[-1] = 0
        found = np.empty_like(embedded)
        found[:-1] = self.layers.spread.activations(neighbours(embedded, around))
        found[-1] = 0
        return Past(found, pairs[:, : 2 * self.channels])

    def trunk(self, past: Past, around: np.ndarray, places: np.ndarray, facts: np.ndarray) -> np.ndarray:
        """uint8 (n, W) activations of kept positions, (n,) places; around: (n, 9) places; facts: (n, FACTS)."""
        return self.layers.trunk.activations(neighbours(past.around, around, past.kept[places], facts))

    def messages(self, number: int, places: np.ndarray, known: np.ndarray, count: int) -> np.ndarray:
        """uint8 (count + 1, K) activations that positions send to their neighbours in pass `number`.

        known: (n, 2C) the differences to the last kept values, as far as they are known, as `squash` gives them, at
        the kept places (n,); other positions have none."""
        layer, silence = self.layers.known[number], self.layers.silence[number]
        found = np.empty((count + 1, len(silence)), np.uint8)
        found[:] = silence
        found[places] = layer.activations(known)
        found[-1] = 0
        return found

    def head(self, number: int, inputs: np.ndarray) -> np.ndarray:
        """uint8 (n, W) activations for pass `number`, of inputs (n, 9K + W): messages around, and the trunk."""
        return self.layers.head[number].activations(inputs)

    def first_head(self, trunk: np.ndarray) -> np.ndarray:
        """`head` for pass 0 where all nine places are positions: they all send the same, that nothing is known. trunk:
        (n, W)."""
        return self.layers.first_head.activations(trunk)

    def outputs(self, number: int, phase: int, hidden: np.ndarray) -> np.ndarray:
        """(n, 4, c) whole sums in 1/8192 for the channels of this pass and phase: shift, gate, share of neighbours,
        log scale.
        """
        found: np.ndarray = self.layers.leave[number][group_of(phase, number)].sums(hidden)
        return found.reshape(len(hidden), 4, -1)

    def mask_trunk(self, past: Past, around: np.ndarray, facts: np.ndarray) -> np.ndarray:
        """uint8 (P, M) activations of all positions, for their mask bits. facts: (P, MASK_FACTS)."""
        return self.mask_layers.trunk.activations(neighbours(past.around, around, past.kept[:-1], facts))

    def mask_classes(self, order: int, trunk: np.ndarray, known: np.ndarray) -> np.ndarray:
        """(n,) uint8 classes of the odds that positions are kept, in phase number `order` of the coding order.

        trunk: (n, M); known: (n, 50) activations of the bits around that are known, see `MaskField`.
        """
        hidden = self.mask_layers.head[order].activations(np.concatenate([known, trunk], axis=1))
        odds = self.mask_layers.leave[order].sums(hidden)[:, 0].astype(np.int32)
        classes = ((odds + (1 << (MASK_SHIFT - 1))) >> MASK_SHIFT) + MASK_CLASSES // 2
        found: np.ndarray = np.clip(classes, 0, MASK_CLASSES - 1).astype(np.uint8)
        return found

    @cached_property
    def value_tables(self) -> Tables:
        """Tables of distances to the nearest whole multiple, by scale class and fraction."""
        sizes = np.repeat(2 * REACH + 2, FRACTIONS)
        return Tables(np.split(self.arrays["table_values"], np.cumsum(sizes)[:-1]))

    @cached_property
    def least_bits_of_token(self) -> float:
        """Bits that a token's mode and values take at least."""
        return float(self.mode_tables.least_bits.min() + self.channels * self.value_tables.least_bits.min())

    @cached_property
    def least_bits_of_position(self) -> float:
        """Bits that a position of a keep mask takes at least."""
        return float(self.mask_tables.least_bits.min())

    @cached_property
    def value_bits(self) -> np.ndarray:
        """(tables, longest) float32: bits of each symbol under each value table; escapes with what follows them."""
        tables = self.value_tables.frequencies
        found = np.full((len(tables), max(map(len, tables))), 2.0 * PRECISION, np.float32)
        for row, table in zip(found, tables, strict=True):
            row[: len(table)] = PRECISION - np.log2(table)
            row[len(table) - 1] += ESCAPE_BITS
        return found

    @cached_property
    def mode_tables(self) -> Tables:
        """Tables of coding modes, by context."""
        return Tables(list(self.arrays["table_kinds"]))

    @cached_property
    def mask_tables(self) -> Tables:
        """Tables of keep-mask bits, by class of odds."""
        return Tables(list(self.arrays["table_mask"]))


def macs(arrays: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """Multiply-adds of the network in one latent frame, (for each position, for each kept token), counted from the
    shapes.

    arrays: as `Prior` takes them. A position is looked at for its neighbours and for its mask bit, whether it is kept
    or not."""
    size = {name: float(array.size) for name, array in arrays.items()}
    mask = size["mask_near"] + size["mask_own"] + size["mask_facts"]
    mask += (
        size["mask_beside"] + size["mask_down"] + size["mask_leave"]
    ) / PHASES  # a position is in one of the phases
    token = size["near"] + size["own"] + size["facts"]
    # before pass 0 all places around tell the same: where all nine are positions that is a part of the bias
    for number in range(PASSES):
        token += size[f"down{number}"] + size[f"leave{number}"] / PASSES  # each pass codes a part of the channels
        token += size[f"known{number}"] + size[f"beside{number}"] if number else 0
    return size["embed"] + size["spread"] + mask, token
