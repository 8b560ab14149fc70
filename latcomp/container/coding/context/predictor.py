"""What is known about a token before it is read: a predicted value, and how far off that will probably be.

Whole numbers only, 32 bits wide, so that every machine finds the same. Fixed-point units: neighbour means 1/64,
predictions 1/1024, expected sizes 1/2048."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from latcomp.container.coding.lattice import PassPositions
from latcomp.latents import SYMBOL_MAX, SYMBOL_MIN
from latcomp.latents.grid import FrameTokens

VALUE_TERMS = 3  # own last value, mean of neighbours now, mean of neighbours before
SIZE_TERMS = 6
"""Channel's usual size, own last size, neighbours' change, neighbours' size now, neighbours' size before, doubt of the
rounding.
"""
SIZE_CAP = 2047  # sizes above count as this, so that sums stay inside 32 bits
SHARE_BITS = 6  # neighbour means in 1/64
PREDICTION_BITS = 10  # predictions in 1/1024: a mean (6 bits) times a weight (4 bits)
DOUBT_SHIFT = 4
CLASS_SHIFT = 4
CLASS_BOUNDS = (2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448)
CLASSES = len(CLASS_BOUNDS) + 1
_CLASS_OF = np.searchsorted(CLASS_BOUNDS, np.arange(CLASS_BOUNDS[-1] + 1), side="right").astype(np.uint8)


def band_of(channel: int) -> int:
    """Channels 0 | 1 | 2-3 | 4-7 | 8-15 | ... share weights."""
    return channel.bit_length()


@dataclass(frozen=True)
class Weights:
    """One set of weights: there is one for the first pass and one for the others, both for first latent frames of
    segments and for later.

    value: (bands, 3) int8 in 1/16; size: (6,) int8 in 1/32.
    """

    value: np.ndarray
    size: np.ndarray

    def by_channel(self, channels: int) -> np.ndarray:
        """(3, C) int32: the value weights of each channel."""
        bands = [band_of(channel) for channel in range(channels)]
        return np.ascontiguousarray(self.value[bands].T.astype(np.int32))


def weight_set(first_frame: bool, first_pass: bool) -> int:
    """Number of the weight set that holds for a pass."""
    return 2 * (not first_frame) + (not first_pass)


@dataclass
class Known:
    """What a pass may look at, each (n, C) int32 for its n kept positions.

    last: own last value; now, before: sums over neighbours of their present and last values, and of sizes (capped
    magnitudes): change of present against last, present, last; all but `last` are zero in the first pass."""

    last: np.ndarray
    last_size: np.ndarray
    now: np.ndarray | None = None
    before: np.ndarray | None = None
    change_size: np.ndarray | None = None
    now_size: np.ndarray | None = None
    before_size: np.ndarray | None = None

    def value_terms(self) -> list[np.ndarray | None]:
        """The three terms of the predicted value, in 1/64."""
        return [self.last << SHARE_BITS, self.now, self.before]

    def size_terms(self) -> list[np.ndarray | None]:
        """Terms 1 to 4 of the expected size, in 1/64."""
        return [self.last_size << SHARE_BITS, self.change_size, self.now_size, self.before_size]


def predict(known: Known, value_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(value, doubt), both (n, C) int32: the predicted symbol, and what rounding to it took away, -512 to 511 in
    1/1024.
    """
    total = np.zeros_like(known.last)
    for term, weight in zip(known.value_terms(), value_weights, strict=True):
        if term is not None and weight.any():
            total += term * weight
    value = np.clip((total + (1 << PREDICTION_BITS - 1)) >> PREDICTION_BITS, SYMBOL_MIN, SYMBOL_MAX)
    doubt = np.clip(total - (value << PREDICTION_BITS), -512, 511)
    return value, doubt


def expected_class(known: Known, doubt: np.ndarray, usual: np.ndarray, size_weights: np.ndarray) -> np.ndarray:
    """(n, C) uint8: class of the expected size, 0 (surely small) to 20. usual: (C,) usual size of each channel in
    1/64.
    """
    total = np.broadcast_to(usual.astype(np.int32) * int(size_weights[0]), doubt.shape).copy()
    terms = [*known.size_terms(), np.abs(doubt) >> DOUBT_SHIFT]
    for term, weight in zip(terms, size_weights[1:].tolist(), strict=True):
        if term is not None and weight:
            total += term * np.int32(weight)
    total >>= CLASS_SHIFT
    return _CLASS_OF[np.clip(total, 0, len(_CLASS_OF) - 1, out=total)]


def _size(values: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.minimum(np.abs(values), SIZE_CAP)
    return found


@dataclass
class Field:
    """Values of all positions while one latent frame is coded; the row behind the last position stands for outside and
    is zero.
    """

    before: np.ndarray
    """(P + 1, C) int32: last kept values."""
    before_size: np.ndarray
    now: np.ndarray
    now_size: np.ndarray
    change_size: np.ndarray

    @classmethod
    def start(cls, before: np.ndarray) -> Field:
        """The field before any token of the latent frame is known."""
        size = _size(before)
        return cls(before, size, before.copy(), size.copy(), np.zeros_like(before))

    def put(self, places: np.ndarray, values: np.ndarray) -> None:
        """Tokens that became known."""
        self.now[places] = values
        self.now_size[places] = _size(values)
        self.change_size[places] = _size(values - self.before[places])

    def look(self, positions: PassPositions, kept: np.ndarray) -> Known:
        """What the kept positions of a pass (indices into its places) may know."""
        places = positions.places[kept]
        own = Known(self.before[places], self.before_size[places])
        if not len(positions.neighbours):
            return own
        share = positions.share[kept]
        around = positions.neighbours[:, kept]

        def mean(values: np.ndarray) -> np.ndarray:
            total: np.ndarray = values[around[0]]
            for neighbour in around[1:]:
                total += values[neighbour]
            total *= share
            return total

        own.now, own.before = mean(self.now), mean(self.before)
        own.change_size, own.now_size, own.before_size = (
            mean(self.change_size),
            mean(self.now_size),
            mean(self.before_size),
        )
        return own


@dataclass(frozen=True)
class Step:
    """One pass over one latent frame."""

    weight_set: int
    positions: PassPositions
    kept: np.ndarray
    """Indices into the pass's places of the kept ones."""
    rows: np.ndarray
    """Rows of the tokens array (order t, y, x) that these are."""


def steps_of_frame(passes: list[PassPositions], frame: FrameTokens, first_frame: bool) -> Iterator[Step]:
    """The passes of one latent frame that have kept positions, in coding order. first_frame: whether it is the first of
    its segment."""
    row_of = np.cumsum(frame.mask) + (frame.rows.start - 1)
    for positions in passes:
        kept = np.flatnonzero(frame.mask[positions.places])
        if len(kept):
            yield Step(weight_set(first_frame, positions.number == 0), positions, kept, row_of[positions.places[kept]])
