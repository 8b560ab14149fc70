"""What a segment's past and a latent frame's earlier passes say of the next values: where each probably lies, and how
far off that will be.

Whole numbers only. Units: terms of values 1/8 of a symbol, of sizes 1/16, means and doubts 1/1024, expected sizes
1/256."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latcomp.container.coding.adaptive.counts import CLASS_BOUNDS, FRACTIONS, SHIFT
from latcomp.container.coding.adaptive.squares import CAP, WEIGHT_BITS, Squares, capped
from latcomp.container.coding.lattice import PassPositions
from latcomp.latents import SYMBOL_MAX, SYMBOL_MIN, FrameView, TokenMemory

VALUE_TERMS, VALUE_TERMS_FIRST = 6, 3
"""Last kept value, its last change, the change before; neighbours' last kept values, last changes, and what is new of
them. In pass 0 there are no neighbours."""
SIZE_TERMS, SIZE_TERMS_FIRST = 6, 4
"""One, last error, the error before, errors of the half that was coded before at the same position; neighbours' errors,
those of all channels."""
OWN_TERM = 3
HALVES = (slice(0, None, 2), slice(1, None, 2))
"""The channels of a pass are coded in two halves, so that the second knows how the first went."""
TERM_SHIFT = 3
MEAN_BITS = 10
BOUND_BITS = 8
VALUE_RIDGE, SIZE_RIDGE = 256, 64
SIZE_SHIFT = 4
ONE_SYMBOL = 1 << SIZE_SHIFT
START_SIZE = 8  # symbols: the size that is expected while nothing was seen


class History:
    """What a segment remembers besides last kept values, for the positions in view; zero for what the latent frame
    before did not show or did not keep. One row more than positions, always zero."""

    def __init__(self, view: FrameView, channels: int) -> None:
        self.view = view
        self.change = np.zeros((view.count + 1, channels), np.int32)
        """By how much the latent frame before changed each held value."""
        self.change_before = np.zeros_like(self.change)
        """The same of the latent frame before that."""
        self.error = np.zeros_like(self.change)
        """Sizes of the errors of the latent frame before."""
        self.error_before = np.zeros_like(self.change)

    def look(self, view: FrameView) -> None:
        """Turn to what the next latent frame shows."""
        if view is self.view:
            return
        at = np.append(self.view.number_at(*view.world), self.view.count)
        self.change, self.change_before = self.change[at], self.change_before[at]
        self.error, self.error_before = self.error[at], self.error_before[at]
        self.view = view

    def advance(self, change: np.ndarray, error: np.ndarray) -> None:
        """Take over a latent frame: change (P + 1, C) of its held values and sizes of errors (P + 1, C)."""
        self.change_before, self.change = self.change, change
        self.error_before, self.error = self.error, error


@dataclass(frozen=True)
class Terms:
    """What is known of n kept tokens of one pass before any of their values."""

    places: np.ndarray
    """(n,) positions."""
    last: np.ndarray
    """(n, C) last kept values."""
    value: np.ndarray
    """(6, n, C)."""
    size: np.ndarray
    """(6, n, C); what is said of the same position is zero."""
    first: bool
    """Whether there are no neighbours: pass 0."""


@dataclass(frozen=True)
class Forecast:
    """Of the channels of one half, c of them, all (n, c) whole numbers."""

    half: slice
    value: np.ndarray
    """The symbol nearest to the expected value."""
    doubt: np.ndarray
    """What rounding to it took away, -512 to 511."""
    mean: np.ndarray
    """The expected value, in 1/1024."""
    size_class: np.ndarray
    """Class of the expected size of the error."""
    last: np.ndarray
    """Last kept values."""
    value_terms: np.ndarray
    """(6, n, c)."""
    size_terms: np.ndarray
    """(6, n, c)."""

    @property
    def contexts(self) -> np.ndarray:
        """uint8 (n, c): numbers of the coding tables."""
        fraction = np.minimum(np.abs(self.doubt) >> 7, FRACTIONS - 1)
        fraction[SHIFT[self.size_class] > 0] = 0
        found: np.ndarray = (self.size_class * FRACTIONS + fraction).astype(np.uint8)
        return found


class Field:
    """One latent frame while its passes are gone through."""

    def __init__(self, memory: TokenMemory, history: History) -> None:
        """Both as they stand before it, turned to its view."""
        self.history = history
        self.last = memory.predicted()
        self.new = np.zeros_like(self.last)
        """(P + 1, C): value now less the last kept one, zero where none is known yet."""
        self.error = np.zeros_like(self.last)

    def terms(self, positions: PassPositions, kept: np.ndarray) -> Terms:
        """What is known of a pass's kept positions (indices into its places)."""
        places, past = positions.places[kept], self.history
        last, none = self.last[places], np.zeros((len(kept), self.last.shape[1]), np.int32)
        value = [last << TERM_SHIFT, past.change[places] << TERM_SHIFT, past.change_before[places] << TERM_SHIFT]
        size = [none + ONE_SYMBOL, past.error[places], past.error_before[places], none]
        first = not len(positions.neighbours)
        if first:
            value += [none] * (VALUE_TERMS - VALUE_TERMS_FIRST)
            size += [none] * (SIZE_TERMS - SIZE_TERMS_FIRST)
        else:
            around, share = positions.neighbours[:, kept], positions.share[kept]

            def mean(values: np.ndarray) -> np.ndarray:
                total: np.ndarray = values[around[0]]
                for neighbour in around[1:]:
                    total += values[neighbour]
                total *= share
                total >>= TERM_SHIFT
                return total

            beside = mean(self.last) - value[0]
            beside[share[:, 0] == 0] = 0
            value += [beside, mean(past.change), mean(self.new)]
            errors = mean(self.error) >> TERM_SHIFT
            size += [errors, none + _mean_of_channels(errors)]
        return Terms(places, last, capped(np.stack(value)), capped(np.stack(size)), first)

    def put(self, terms: Terms, half: slice, new: np.ndarray, error: np.ndarray) -> None:
        """Values of one half that became known: their change (n, c) and the sizes of their errors."""
        self.new[terms.places, half], self.error[terms.places, half] = new, error
        terms.size[OWN_TERM] = _mean_of_channels(error)


def _mean_of_channels(errors: np.ndarray) -> np.ndarray:
    """int32 (n, 1) of (n, c), rounded down."""
    found: np.ndarray = errors.sum(axis=1, keepdims=True, dtype=np.int32) // np.int32(errors.shape[1])
    return found


class Learner:
    """The weights of a segment."""

    def __init__(self, channels: int) -> None:
        self._values = Squares(channels, VALUE_TERMS, VALUE_RIDGE)
        self._sizes = Squares(channels, SIZE_TERMS, SIZE_RIDGE)
        start = np.zeros((channels, SIZE_TERMS, 1), np.int64)
        start[:, 0] = ONE_SYMBOL
        self._sizes.add(start, np.full((channels, 1), START_SIZE * ONE_SYMBOL))

    def weights(self, first: bool) -> tuple[np.ndarray, np.ndarray]:
        """(of values (C, k), of sizes (C, k)) as they hold for a pass; first: for pass 0."""
        return (
            self._values.weights(VALUE_TERMS_FIRST if first else VALUE_TERMS),
            self._sizes.weights(SIZE_TERMS_FIRST if first else SIZE_TERMS),
        )

    def learn(self, one: Forecast, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(change of the last kept values, sizes of errors), both (n, c), of values (n, c) that became known."""
        new = (values - one.last).astype(np.int32)
        error = np.minimum(np.abs((values << MEAN_BITS) - one.mean) >> MEAN_BITS - SIZE_SHIFT, CAP).astype(np.int32)
        self._values.add(one.value_terms.transpose(2, 0, 1), capped(new << TERM_SHIFT).T, one.half)
        self._sizes.add(one.size_terms.transpose(2, 0, 1), error.T, one.half)
        return new, error

    def fade(self) -> None:
        """A latent frame ends."""
        self._values.fade()
        self._sizes.fade()


def forecast(terms: Terms, half: slice, weights: tuple[np.ndarray, np.ndarray]) -> Forecast:
    """What to expect of one half of the channels, under the pass's weights of values and of sizes, (C, k) each."""
    last, value_terms, size_terms = terms.last[:, half], terms.value[:, :, half], terms.size[:, :, half].copy()
    change = _weighed(value_terms, weights[0][half]) >> WEIGHT_BITS + TERM_SHIFT - MEAN_BITS
    mean = (last.astype(np.int64) << MEAN_BITS) + change
    value = np.minimum(np.maximum((mean + (1 << MEAN_BITS - 1)) >> MEAN_BITS, SYMBOL_MIN), SYMBOL_MAX)
    doubt = np.minimum(np.maximum(mean - (value << MEAN_BITS), -512), 511)
    size = _weighed(size_terms, weights[1][half]) >> WEIGHT_BITS + SIZE_SHIFT - BOUND_BITS
    size_class = np.searchsorted(CLASS_BOUNDS, size, side="right")
    return Forecast(half, value, doubt, mean, size_class, last, value_terms, size_terms)


def _weighed(terms: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """int64 (n, c): the first k of terms (K, n, c) times weights (c, k)."""
    total: np.ndarray = terms[0] * weights[:, 0]
    for term, weight in zip(terms[1 : weights.shape[1]], weights.T[1:], strict=True):
        total += term * weight
    return total
