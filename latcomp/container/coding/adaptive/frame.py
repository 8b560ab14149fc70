"""Goes through one latent frame's kept tokens in the passes of the lattice: what is written, what is read, and what is
learned from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from latcomp.container.coding.adaptive.counts import FRACTIONS, REACH, SHIFT, CountTables
from latcomp.container.coding.adaptive.forecast import HALVES, Field, Forecast, History, Learner, Terms, forecast
from latcomp.container.coding.lattice import passes_of
from latcomp.container.coding.prior.tables import TableDecoder, TableEncoder
from latcomp.errors import DamagedFileError
from latcomp.latents import SYMBOL_MAX, SYMBOL_MIN, TokenMemory

ESCAPES = 1 << 18
"""Distances that an escape can say: from -2**17 to 2**17 - 1."""
ESCAPE_BITS = 18


@dataclass
class State:
    """What a segment has learned so far."""

    history: History
    learner: Learner
    tables: CountTables

    @classmethod
    def start(cls, memory: TokenMemory) -> State:
        """Nothing."""
        channels = memory.kept.shape[1]
        return cls(History(memory.view, channels), Learner(channels), CountTables())


@dataclass(frozen=True)
class AdaptivePass:
    """One half of the channels, c of them, of one pass: m = n * c values of n kept tokens, in each the channels in
    order.
    """

    frame: AdaptiveFrame
    rows: np.ndarray
    """(n,) of the latent frame's kept tokens."""
    terms: Terms
    forecast: Forecast
    contexts: np.ndarray
    """uint8 (m,): numbers of the coding tables."""

    @property
    def nearest(self) -> np.ndarray:
        """int64 (m,): the symbol nearest to the expected value."""
        return self.forecast.value.reshape(-1)

    def steps_of(self, symbols: np.ndarray) -> np.ndarray:
        """int64 (m,): the pass's values, out of symbols (n, C) of the latent frame's kept tokens."""
        return symbols[self.rows, self.forecast.half].reshape(-1).astype(np.int64)

    def put_into(self, symbols: np.ndarray, values: np.ndarray) -> None:
        """Write values (m,) to where they belong in symbols (n, C)."""
        symbols[self.rows, self.forecast.half] = values.reshape(self.forecast.value.shape)

    def exact_steps_of(self, wanted: np.ndarray) -> np.ndarray:
        """(m,): the same, not whole, of latents (n, C) in steps."""
        found: np.ndarray = wanted[self.rows, self.forecast.half].reshape(-1)
        return found

    def squared_steps(self, weights: np.ndarray) -> np.ndarray:
        """float32 (m,): weights (n, 1) of a squared error of a step, for each value."""
        return np.repeat(weights[self.rows, 0], self.forecast.value.shape[1])

    def fits(self, steps: np.ndarray) -> np.ndarray:
        """bool (m,): which symbols a file can hold."""
        return (steps >= SYMBOL_MIN) & (steps <= SYMBOL_MAX)

    def bits(self, steps: np.ndarray, at: np.ndarray) -> np.ndarray:
        """float32 (k,): bits of some of the values, `at` (k,), if they are these (m,)."""
        symbols, contexts = self.table_symbols(steps, at)[0], self.contexts[at]
        number = contexts // FRACTIONS
        outside = SHIFT[number] + ESCAPE_BITS * (symbols > 2 * REACH[number])
        found: np.ndarray = self.frame.bits[contexts, symbols] + outside.astype(np.float32)
        return found

    def table_symbols(self, values: np.ndarray, at: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, ...]:
        """(symbol in the table of each value's context, low bits that stand outside of it, distance), each (k,) int64,
        of the values (m,) at `at`.

        The distance is mirrored where the mean lies below the nearest symbol, so that tables need no sign."""
        off = values[at] - self.nearest[at]
        np.negative(off, out=off, where=self.forecast.doubt.reshape(-1)[at] < 0)
        number = self.contexts[at] // FRACTIONS
        shift, reach = SHIFT[number], REACH[number]
        high = off >> shift
        symbols = np.where(np.abs(high) > reach, 2 * reach + 1, high + reach)
        return symbols, off - (high << shift), high

    def write(self, coder: TableEncoder, values: np.ndarray) -> np.ndarray:
        """Append values (m,); gives their symbols (m,)."""
        symbols, low, high = self.table_symbols(values)
        tables, number = self.frame.state.tables, self.contexts // FRACTIONS
        coder.put(symbols, self.contexts, tables)
        coder.put_wide(high[symbols > 2 * REACH[number]] + ESCAPES // 2, ESCAPES)
        shift = SHIFT[number]
        for one in range(1, int(shift.max()) + 1):
            coder.put_wide(low[shift == one], 1 << one)
        return symbols

    def read(self, coder: TableDecoder) -> tuple[np.ndarray, np.ndarray]:
        """(values (m,), their symbols (m,)). Raises `DamagedFileError` for a value beyond 16 bits."""
        number = self.contexts // FRACTIONS
        symbols = coder.take(self.contexts, self.frame.state.tables).astype(np.int64)
        shift, reach = SHIFT[number], REACH[number]
        off = symbols - reach
        far = symbols > 2 * reach
        off[far] = coder.take_wide(int(np.count_nonzero(far)), ESCAPES).astype(np.int64) - ESCAPES // 2
        off <<= shift
        for one in range(1, int(shift.max()) + 1):
            here = shift == one
            off[here] += coder.take_wide(int(np.count_nonzero(here)), 1 << one)
        np.negative(off, out=off, where=self.forecast.doubt.reshape(-1) < 0)
        values = off + self.nearest
        if not self.fits(values).all():
            raise DamagedFileError("a symbol passes 16 bits")
        return values, symbols

    def learn(self, values: np.ndarray, symbols: np.ndarray) -> None:
        """Take the pass's values (m,) and their symbols (m,), before the next pass is asked for."""
        state = self.frame.state
        shaped = values.reshape(self.forecast.value.shape)
        self.frame.field.put(self.terms, self.forecast.half, *state.learner.learn(self.forecast, shaped))
        state.tables.learn(symbols, self.contexts)
        self.frame.forget_bits()


class AdaptiveFrame:
    """One latent frame."""

    def __init__(self, state: State, memory: TokenMemory, mask: np.ndarray) -> None:
        """memory: as it stands before it, turned to its view; mask: (P,) bool of its kept tokens."""
        self.state, self.mask = state, mask
        state.history.look(memory.view)
        self.field = Field(memory, state.history)
        self._seen = np.append(memory.seen, False)
        self._passes = passes_of(memory.view)
        self._bits: np.ndarray | None = None

    @property
    def bits(self) -> np.ndarray:
        """float32 (contexts, SYMBOLS): what each symbol of the next pass would take."""
        if self._bits is None:
            self._bits = self.state.tables.bits()
        return self._bits

    def forget_bits(self) -> None:
        """The tables changed."""
        self._bits = None

    def passes(self) -> Iterator[AdaptivePass]:
        """Those that have kept positions, in coding order; each must learn before the next is asked for."""
        row_of = np.cumsum(self.mask) - 1
        for positions in self._passes:
            kept = np.flatnonzero(self.mask[positions.places])
            if len(kept):
                terms = self.field.terms(positions, kept)
                weights = self.state.learner.weights(terms.first)
                for half in HALVES[: self.field.last.shape[1]]:
                    found = forecast(terms, half, weights)
                    yield AdaptivePass(self, row_of[terms.places], terms, found, found.contexts.reshape(-1))

    def end(self) -> None:
        """The segment takes the latent frame over. What is new in it changed by nothing."""
        self.field.new[~self._seen] = 0
        self.state.history.advance(self.field.new, self.field.error)
        self.state.learner.fade()
