"""The coding tables of a prior, by counting what its own whole-number passes find on real tokens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from latcomp.container.kinds import CONTEXTS as KIND_CONTEXTS
from latcomp.container.kinds import KINDS, KindField
from latcomp.container.layout_prior import FrameCoder, PriorState, contexts_of, table_symbols
from latcomp.container.mask_prior import MaskField
from latcomp.container.prior import FRACTIONS, MASK_CLASSES, REACH, SCALE_LOW, SCALE_OCTAVE, SCALES, Prior
from latcomp.container.tables import whole_frequencies
from latcomp.selection.recipe import PRIOR_UNITS

TABLE_TRUST = 24.0  # counts that the shape of a Laplace density weighs in each table
MASK_TRUST = 8.0  # counts that a class's own odds weigh in its table
SYMBOLS = 1024  # more than any table of values has

Walked = tuple[PriorState, np.ndarray, np.ndarray, np.ndarray, int]
"""Of a latent frame: the state before it, its mask (P,), and of its kept tokens kinds (n,) and values (n, C); the log
of its step.
"""


@dataclass(frozen=True)
class Counts:
    """How often each symbol was seen under each context: values (contexts, SYMBOLS), kinds (contexts, KINDS), masks
    (classes, 2).
    """

    values: np.ndarray
    kinds: np.ndarray
    masks: np.ndarray

    @classmethod
    def none(cls) -> Counts:
        """Nothing seen yet."""
        return cls(
            *(
                np.zeros(shape, np.int64)
                for shape in ((SCALES * FRACTIONS, SYMBOLS), (KIND_CONTEXTS, KINDS), (MASK_CLASSES, 2))
            )
        )

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.values + other.values, self.kinds + other.kinds, self.masks + other.masks)

    def tables(self) -> dict[str, np.ndarray]:
        """The tables as `latcomp.container.prior` reads them, where little was seen leaning on what is likely."""
        reach = np.repeat(REACH, FRACTIONS)
        values = [
            whole_frequencies(_trusted(seen[: 2 * reach[context] + 2], context // FRACTIONS, context % FRACTIONS))
            for context, seen in enumerate(self.values)
        ]
        likely = 1 / (1 + np.exp((MASK_CLASSES // 2 - np.arange(MASK_CLASSES)) / 4))
        return {
            "table_values": np.concatenate(values),
            "table_kinds": whole_frequencies(self.kinds + 1.0),
            "table_mask": whole_frequencies(self.masks + MASK_TRUST * np.stack([1 - likely, likely], axis=1)),
        }


def count(prior: Prior, frames: Iterable[Walked]) -> Counts:
    """What latent frames hold, under the contexts that the prior finds for them."""
    found = Counts.none()
    for state, mask, kinds, values, log_step in frames:
        if not state.first:
            field = MaskField(prior, state, log_step)
            for places, contexts in field.steps():
                _add(found.masks, contexts, mask[places])
                field.put(places, mask[places])
        if not mask.any():
            continue
        kind_field = KindField(state.hood, mask, state.octaves, state.before, state.first)
        for rows, contexts in kind_field.steps():
            _add(found.kinds, contexts, kinds[rows])
            kind_field.put(rows, kinds[rows])
        coder = FrameCoder(prior, state, mask, kinds, log_step, PRIOR_UNITS.bit_length() - 1)
        for passing, nearest, fraction, scale in coder.passes():
            multiples = coder.multiples_of(passing, values)
            symbols, _, _ = table_symbols(multiples, nearest, fraction, scale)
            _add(found.values, contexts_of(fraction, scale), symbols)
            coder.put(passing, multiples)
    return found


def _add(seen: np.ndarray, contexts: np.ndarray, symbols: np.ndarray) -> None:
    flat = contexts.astype(np.int64) * seen.shape[1] + symbols
    seen += np.bincount(flat.reshape(-1), minlength=seen.size).reshape(seen.shape)


def _trusted(seen: np.ndarray, scale: int, fraction: int) -> np.ndarray:
    """Counts (n,) blended with a Laplace density of the scale class around fraction / 8."""
    size = 2.0 ** ((scale + SCALE_LOW) / SCALE_OCTAVE)
    reach = int(REACH[scale])
    off = np.arange(-reach, reach + 1) - fraction / 8
    inner = np.where(
        np.abs(off) < 0.5,
        1 - 0.5 * (np.exp(-(0.5 - off) / size) + np.exp(-(0.5 + off) / size)),
        0.5 * np.exp(-(np.abs(off) - 0.5) / size) * (1 - np.exp(-1 / size)),
    )
    shape = np.append(np.maximum(inner, 1e-7), 1e-5)
    found: np.ndarray = seen + TABLE_TRUST * shape / shape.sum()
    return found
