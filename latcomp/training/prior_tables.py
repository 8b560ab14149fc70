"""The coding tables of a prior, by counting what its own whole-number passes find on real tokens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from latcomp.container.coding.prior.frame_code import code_frame
from latcomp.container.coding.prior.modes import CONTEXTS as MODE_CONTEXTS
from latcomp.container.coding.prior.modes import MODES
from latcomp.container.coding.prior.network import (
    FRACTIONS,
    MASK_CLASSES,
    REACH,
    SCALE_LOW,
    SCALE_OCTAVE,
    SCALES,
    Prior,
)
from latcomp.container.coding.prior.tables import whole_frequencies
from latcomp.latents import TokenMemory
from latcomp.selection import PRIOR_UNITS

TABLE_TRUST = 24.0  # counts that the shape of a Laplace density weighs in each table
MASK_TRUST = 8.0  # counts that a class's own odds weigh in its table
SYMBOLS = 1024  # more than any table of values has


@dataclass(frozen=True)
class Walked:
    """A latent frame of real tokens, and what was known before it."""

    memory: TokenMemory
    mask: np.ndarray
    """bool (P,)."""
    modes: np.ndarray
    """uint8 (n,): how each kept token is coded."""
    symbols: np.ndarray
    """(n, C)."""
    halvings: np.ndarray
    """uint8 (n,)."""
    log_step: int


@dataclass(frozen=True)
class Counts:
    """How often each symbol was seen under each context: values (contexts, SYMBOLS), modes (contexts, MODES), masks
    (classes, 2).
    """

    values: np.ndarray
    modes: np.ndarray
    masks: np.ndarray

    @classmethod
    def none(cls) -> Counts:
        """Nothing seen yet."""
        return cls(
            *(
                np.zeros(shape, np.int64)
                for shape in ((SCALES * FRACTIONS, SYMBOLS), (MODE_CONTEXTS, MODES), (MASK_CLASSES, 2))
            )
        )

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.values + other.values, self.modes + other.modes, self.masks + other.masks)

    def tables(self) -> dict[str, np.ndarray]:
        """The tables as the prior reads them, where little was seen leaning on what is likely."""
        reach = np.repeat(REACH, FRACTIONS)
        values = [
            whole_frequencies(_trusted(seen[: 2 * reach[context] + 2], context // FRACTIONS, context % FRACTIONS))
            for context, seen in enumerate(self.values)
        ]
        likely = 1 / (1 + np.exp((MASK_CLASSES // 2 - np.arange(MASK_CLASSES)) / 4))
        return {
            "table_values": np.concatenate(values),
            "table_kinds": whole_frequencies(self.modes + 1.0),
            "table_mask": whole_frequencies(self.masks + MASK_TRUST * np.stack([1 - likely, likely], axis=1)),
        }


def count(prior: Prior, frames: Iterable[Walked]) -> Counts:
    """What latent frames hold, under the contexts that the prior finds for them."""
    found = Counts.none()
    for frame in frames:
        _, code = code_frame(
            prior, frame.memory, frame.mask, frame.symbols, frame.halvings, frame.log_step, PRIOR_UNITS
        )
        for seen, parts in ((found.masks, code.mask), (found.modes, code.modes), (found.values, code.values)):
            for part in parts:
                _add(seen, part.contexts, part.symbols)
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
