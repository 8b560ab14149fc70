"""The learned prior: a small network of whole numbers that says, for each value of a token, where it probably lies and
how surely.

Everything is integer arithmetic: activations are whole numbers of 1/32 from 0 to 127, weights of 1/256 from -127 to
127, sums stay far below 2**24, so float32 matrix products are exact in any order and every machine finds the same. The
network sees, of the position and its eight neighbours, the last kept values, the change before, and what of this latent
frame is already known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from latcomp.container.coding.prior.neighbourhood import PASSES, PHASES, group_of
from latcomp.container.coding.prior.tables import PRECISION, Tables
from latcomp.latents import SYMBOL_MAX, SYMBOL_MIN

ACTIVATION_MAX = 127  # largest activation, in 1/32
WEIGHT_SHIFT = 8  # weights are whole numbers of 1/256
FACTS = 24
MASK_FACTS = 33
MASK_CLASSES = 64  # classes of odds, a quarter of a nat apart
MASK_SHIFT = 9  # from a sum in 1/8192 to a class
SQUASH_LIMIT = 4095
MEAN_BITS = 4  # means are in 1/16 units: a step is at least four, so the network's own part is in 1/64 steps
GATE_MAX, SHARE_MIN = 1536, -512  # bounds of gate and share, in 1/1024
BLOCK = 512  # positions whose neighbours are gathered at once
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


_SQUASH = np.concatenate([-squash_table()[:0:-1], squash_table()])


def squash(symbols: np.ndarray) -> np.ndarray:
    """float32 activations of int32 symbols, -127 to 127."""
    found: np.ndarray = _SQUASH[np.clip(symbols, -SQUASH_LIMIT, SQUASH_LIMIT) + SQUASH_LIMIT]
    return found


def relu(sums: np.ndarray) -> np.ndarray:
    """Activations of sums that count activations and have a half more, in place."""
    np.floor(sums, out=sums)
    return np.clip(sums, 0, ACTIVATION_MAX, out=sums)


def around_product(values: np.ndarray, around: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(n, out) products of the values (P + 1, c) at nine places around (n, 9), one behind the other, with a matrix (9 *
    c, out).

    Goes block by block, which bounds memory and stays in the processor's cache.
    """
    found = np.empty((len(around), weight.shape[1]), np.float32)
    for start in range(0, len(around), BLOCK):
        places = around[start : start + BLOCK]
        np.matmul(values[places].reshape(len(places), -1), weight, out=found[start : start + BLOCK])
    return found


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
        """(n, FACTS) float32 activations."""
        count = len(self.mode)
        found = np.zeros((count, FACTS), np.float32)
        found[np.arange(count), self.mode] = 64
        found[:, 4] = 32 * self.halvings
        found[:, 5] = np.minimum(16 * self.age, ACTIVATION_MAX)
        found[:, 6] = 64 * self.before
        found[:, 7] = 64 * self.first
        found[:, 8] = min(max(64 + self.log_step, 0), ACTIVATION_MAX)
        found[:, 9:18] = 32 * self.mask
        return found


def _ready(name: str, whole: np.ndarray) -> np.ndarray:
    """A tensor as float32. Those that lead to activations are scaled by a power of two, and their biases get a half
    more, so that `relu` need do neither; the products stay exact."""
    found = whole.astype(np.float32)
    if not name.startswith(("leave", "mask_leave")):
        found *= np.float32(2.0**-WEIGHT_SHIFT)
        if name.endswith("bias"):
            found += np.float32(0.5)
    return found


class Prior:
    """The network's weights and the coding tables; made once a model and shared by all segments."""

    def __init__(self, arrays: dict[str, np.ndarray], sha256: str, name: str, fingerprint: str | None = None) -> None:
        """arrays: the int8, int32 and uint32 tensors of `weights/prior-*/model.safetensors`; see FORMAT.md for their
        shapes.

        fingerprint: over weights and configuration; None where there is no configuration to compare.
        """
        self.sha256, self.name, self.fingerprint = sha256, name, fingerprint
        self.arrays = arrays
        self.weights = {key: _ready(key, value) for key, value in arrays.items() if not key.startswith("table")}
        self.channels = int(self.weights["own"].shape[0])
        self.groups = [np.arange(number, self.channels, PASSES) for number in range(PASSES)]

    def past(self, kept: np.ndarray, change: np.ndarray, around: np.ndarray) -> np.ndarray:
        """(P + 1, E) activations of all positions from the last kept values and the change before, each (P + 1, C)
        int32.

        around: (P, 9) places. What a position says here covers its eight neighbours, so that `trunk` sees five places
        each way."""
        weights = self.weights
        embedded = relu(
            np.concatenate([squash(kept), squash(change)], axis=1) @ weights["embed"] + weights["embed_bias"]
        )
        embedded[-1] = 0
        found = np.empty_like(embedded)
        sums = around_product(embedded, around, weights["spread"])
        sums += weights["spread_bias"]
        found[:-1] = relu(sums)
        found[-1] = 0
        return found

    def trunk(self, past: np.ndarray, around: np.ndarray, own: np.ndarray, facts: np.ndarray) -> np.ndarray:
        """(n, W) activations of kept positions. around: (n, 9) places; own: (n, C) last kept values; facts: (n,
        FACTS).
        """
        weights = self.weights
        sums = around_product(past, around, weights["near"])
        sums += squash(own) @ weights["own"]
        sums += facts @ weights["facts"]
        sums += weights["trunk_bias"]
        return relu(sums)

    def messages(self, number: int, places: np.ndarray, known: np.ndarray, count: int) -> np.ndarray:
        """(count + 1, K) activations that positions send to their neighbours in pass `number`.

        known: (n, C) activations of the differences to the last kept values, as far as they are known, at the kept
        places (n,); other positions have none."""
        weight, bias = self.weights[f"known{number}"], self.weights[f"known{number}_bias"]
        found = np.empty((count + 1, len(bias)), np.float32)
        found[:] = relu(bias.copy())
        found[places] = relu(known @ weight + bias)
        found[-1] = 0
        return found

    def neighbour_sums(self, number: int, messages: np.ndarray, around: np.ndarray) -> np.ndarray:
        """(n, W) sums of the messages around positions in pass `number`. messages: (P + 1, K); around: (n, 9)."""
        return around_product(messages, around, self.weights[f"beside{number}"])

    def first_sums(self, around: np.ndarray, count: int) -> np.ndarray:
        """(n, W) `neighbour_sums` in pass 0, where all `count` positions send the same: that nothing is known."""
        found: np.ndarray = (around < count).astype(np.float32) @ self._silence
        return found

    def head(self, number: int, trunk: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """(n, W) activations for pass `number`, of the trunk (n, W) and `neighbour_sums` (n, W), which are used
        up.
        """
        weights = self.weights
        sums += trunk @ weights[f"down{number}"]
        sums += weights[f"down{number}_bias"]
        return relu(sums)

    def outputs(self, number: int, phase: int, hidden: np.ndarray) -> np.ndarray:
        """(n, 4, c) whole float32 sums in 1/8192 for the channels of this pass and phase: shift, gate, share of
        neighbours, log scale.
        """
        weight, bias = self._leaving[number][group_of(phase, number)]
        found: np.ndarray = (hidden @ weight + bias).reshape(len(hidden), 4, -1)
        return found

    def mask_trunk(self, past: np.ndarray, around: np.ndarray, kept: np.ndarray, facts: np.ndarray) -> np.ndarray:
        """(P, M) activations of all positions, for their mask bits. kept: (P, C) last kept values; facts: (P,
        MASK_FACTS).
        """
        weights = self.weights
        sums = around_product(past, around, weights["mask_near"])
        sums += squash(kept) @ weights["mask_own"]
        sums += facts @ weights["mask_facts"]
        sums += weights["mask_trunk_bias"]
        return relu(sums)

    def mask_classes(self, order: int, trunk: np.ndarray, known: np.ndarray) -> np.ndarray:
        """(n,) uint8 classes of the odds that positions are kept, in phase number `order` of the coding order.

        trunk: (n, M); known: (n, 50) activations of the bits around that are known, see `MaskField`.
        """
        weights = self.weights
        sums = known @ weights["mask_beside"][order]
        sums += trunk @ weights["mask_down"][order]
        sums += weights["mask_down_bias"][order]
        odds = relu(sums) @ weights["mask_leave"][order] + weights["mask_leave_bias"][order]
        classes = np.floor(odds * np.float32(2.0**-MASK_SHIFT) + np.float32(0.5)) + MASK_CLASSES // 2
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

    @cached_property
    def _silence(self) -> np.ndarray:
        """(9, W) what each place around adds to the sums of pass 0."""
        weight = self.weights["beside0"]
        found: np.ndarray = relu(self.weights["known0_bias"].copy()) @ weight.reshape(9, -1, weight.shape[1])
        return found

    @cached_property
    def _leaving(self) -> list[list[tuple[np.ndarray, np.ndarray]]]:
        found = []
        for number in range(PASSES):
            weight, bias = self.weights[f"leave{number}"], self.weights[f"leave{number}_bias"]  # (W, 4, C), (4, C)
            found.append(
                [
                    (
                        np.ascontiguousarray(weight[:, :, g].reshape(len(weight), -1)),
                        np.ascontiguousarray(bias[:, g].reshape(-1)),
                    )
                    for g in self.groups
                ]
            )
        return found


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
    token = (
        size["near"] + size["own"] + size["facts"] + 9 * arrays["beside0"].shape[1]
    )  # before pass 0 all places around tell the same
    for number in range(PASSES):
        token += size[f"down{number}"] + size[f"leave{number}"] / PASSES  # each pass codes a part of the channels
        token += size[f"known{number}"] + size[f"beside{number}"] if number else 0
    return size["embed"] + size["spread"] + mask, token


def parameters_of(sums: np.ndarray, kept: np.ndarray, neighbours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean in 1/16 units, scale class), each (n, c) int32, from the last layer's sums (n, 4, c).

    kept: (n, c) last kept values, neighbours: (n, c) mean difference of known neighbours to theirs in 1/8 units. mean =
    gate x kept + share x neighbours + shift, cut to what a symbol may be, so that no distance passes the escapes."""
    shift = np.floor(sums[:, 0] * np.float32(2.0**-7) + np.float32(0.5)).astype(np.int32)  # 1/64 steps
    gates = np.floor(sums[:, 1:3] * np.float32(2.0**-3) + np.float32(0.5)).astype(np.int32)  # 1/1024
    gate = np.clip(gates[:, 0], 0, GATE_MAX)
    share = np.clip(gates[:, 1], SHARE_MIN, GATE_MAX)
    mean = shift + ((gate * kept) >> 6) + ((share * neighbours) >> 9)
    scale = np.floor(sums[:, 3] * np.float32(2.0**-11) + np.float32(0.5)).astype(np.int32) - SCALE_LOW
    mean = np.clip(mean, SYMBOL_MIN << MEAN_BITS, SYMBOL_MAX << MEAN_BITS)
    return mean, np.clip(scale, 0, SCALES - 1)


def on_grid(
    mean: np.ndarray, scale: np.ndarray, anchor: np.ndarray, halvings: np.ndarray, units_log2: int
) -> tuple[np.ndarray, ...]:
    """(nearest whole multiple, signed fraction in eighths, scale class), each (n, c), on each token's own grid.

    anchor: (n, c) where the grid stands, in units; halvings: (n, 1) halvings of its step of 2**units_log2 units.
    """
    shift = (MEAN_BITS + units_log2 - halvings).astype(np.int32)
    distance = mean - (anchor << MEAN_BITS)
    nearest = (distance + (np.int32(1) << (shift - 1))) >> shift
    rest = distance - (nearest << shift)
    fraction = ((rest << FRACTION_BITS) + (np.int32(1) << (shift - 1))) >> shift
    return nearest, fraction, np.minimum(scale + SCALE_OCTAVE * halvings, SCALES - 1)
