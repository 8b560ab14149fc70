"""Rounding by rate and distortion under the prior: a value moves a step towards the expected one where that saves more
than it harms.

Only a writer uses it, while it selects: the values it gives are what it then writes, so a reader knows nothing of it.
"""

from __future__ import annotations

import numpy as np

from latcomp.container.format import SYMBOL_MAX, SYMBOL_MIN
from latcomp.container.layout_prior import FrameCoder, PriorState, contexts_of, kinds_of, table_symbols
from latcomp.container.prior import Prior
from latcomp.container.tables import PRECISION
from latcomp.stages import stage

ESCAPE_BITS = 18.0


class PriorRounding:
    """Walks along with the selection of a segment, latent frame by latent frame, and rounds its kept tokens."""

    def __init__(self, prior: Prior, rows: int, columns: int, units: int, worth: float, log_step: int) -> None:
        """Begins a segment. worth: bits that a squared error of one whole step squared is worth for one latent frame;
        log_step: sixteenths of an octave of the step scale."""
        self.prior, self.units, self.worth, self.log_step = prior, units, worth, log_step
        self.state = PriorState.start(rows, columns, prior.channels)
        self._costs = code_lengths(prior)

    def rounded(
        self, mask: np.ndarray, symbols: np.ndarray, octaves: np.ndarray, wanted: np.ndarray, frames: np.ndarray
    ) -> np.ndarray:
        """(n, C) int32 symbols of a latent frame's kept tokens.

        mask: (P,) bool; symbols: (n, C) as they were rounded plainly; octaves: (n,); wanted: (n, C) float32 the latents
        in units; frames: (n,) latent frames each token will stand for. None of them leaves what a symbol may be."""
        with stage("token_coding"):
            return self._rounded(mask, symbols, octaves, wanted, frames)

    def _rounded(
        self, mask: np.ndarray, symbols: np.ndarray, octaves: np.ndarray, wanted: np.ndarray, frames: np.ndarray
    ) -> np.ndarray:
        places = np.flatnonzero(mask)
        if not len(places):
            self.state.move_on(places, symbols, octaves)
            return symbols
        state = self.state
        kinds = kinds_of(symbols, octaves, state.kept[places], state.octaves[places], state.first, self.units)
        coder = FrameCoder(self.prior, state, mask, kinds, self.log_step, self.units.bit_length() - 1)
        at_bound = symbols.min() < SYMBOL_MIN + self.units or symbols.max() > SYMBOL_MAX - self.units
        for parts, nearest, fraction, scale in coder.passes():
            plain = coder.multiples_of(parts, symbols)
            exact = np.concatenate(
                [
                    (
                        (wanted[p.rows, p.channels] - coder.anchor[p.rows, p.channels])
                        * (np.float32(1) / (self.units >> coder.octaves[p.rows]))
                    ).reshape(-1)
                    for p in parts
                ]
            )
            weight = np.concatenate(
                [
                    np.broadcast_to(
                        (frames[p.rows, None] * np.float32(self.worth))
                        * np.float32(4.0) ** -coder.octaves[p.rows].astype(np.float32),
                        p.shape,
                    ).reshape(-1)
                    for p in parts
                ]
            )
            moved = plain + np.sign(nearest - plain)
            if at_bound:  # the expected value may lie a step beyond what a symbol can be
                moved = np.where(coder.fit(parts, moved), moved, plain)
            able = np.flatnonzero(moved != plain)
            harm = weight[able] * (np.square(exact[able] - moved[able]) - np.square(exact[able] - plain[able]))
            saved = self._bits(plain, nearest, fraction, scale, able) - self._bits(
                moved, nearest, fraction, scale, able
            )
            better = able[harm < saved]
            plain[better] = moved[better]
            coder.put(parts, plain)
        found = coder.values()
        state.move_on(places, found, octaves)
        return found

    def _bits(
        self, multiples: np.ndarray, nearest: np.ndarray, fraction: np.ndarray, scale: np.ndarray, at: np.ndarray
    ) -> np.ndarray:
        """float32 bits of some of a pass's multiples."""
        symbols, _, _ = table_symbols(multiples[at], nearest[at], fraction[at], scale[at])
        found: np.ndarray = self._costs[contexts_of(fraction[at], scale[at]), symbols]
        return found


def code_lengths(prior: Prior) -> np.ndarray:
    """(tables, longest) float32 bits of each symbol under each of the prior's value tables; escapes with what follows
    them.
    """
    tables = prior.value_tables.frequencies
    found = np.full((len(tables), max(map(len, tables))), 2.0 * PRECISION, np.float32)
    for row, table in zip(found, tables, strict=True):
        row[: len(table)] = PRECISION - np.log2(table)
        row[len(table) - 1] += ESCAPE_BITS
    return found
