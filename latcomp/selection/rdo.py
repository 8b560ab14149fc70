"""Rate-distortion optimised quantisation: a value moves a step towards the expected one where that saves more bits than
it harms.

The idea is that of RDOQ in HM and trellis quantisation in x264, decided value by value under a model that sees its
neighbours. Only an encoder does this, while it selects; a reader knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from latcomp.latents import SYMBOL_MAX, SYMBOL_MIN, TokenMemory
from latcomp.selection.threshold import KeptTokens
from latcomp.stages import stage


class CodingPass(Protocol):
    """Some values of a latent frame's kept tokens under the model that codes them: m values, in steps of their own."""

    @property
    def nearest(self) -> np.ndarray:
        """int32 (m,): the step nearest to the expected value."""
        ...

    def steps_of(self, symbols: np.ndarray) -> np.ndarray:
        """int32 (m,): whole steps of the pass's values, out of symbols (n, C)."""
        ...

    def exact_steps_of(self, wanted: np.ndarray) -> np.ndarray:
        """(m,): steps, not whole, of latents (n, C) in units."""
        ...

    def squared_steps(self, weights: np.ndarray) -> np.ndarray:
        """float32 (m,): weights (n, 1) of a squared error of a whole step, for one of each value's own steps."""
        ...

    def fits(self, steps: np.ndarray) -> np.ndarray:
        """bool (m,): which whole steps give symbols that a file can hold."""
        ...

    def bits(self, steps: np.ndarray, at: np.ndarray) -> np.ndarray:
        """float32 (k,): bits of some of the values, `at` (k,), if they are these whole steps (m,)."""
        ...


class TokenCoder(Protocol):
    """What codes a latent frame's tokens pass by pass."""

    def code(
        self,
        memory: TokenMemory,
        mask: np.ndarray,
        symbols: np.ndarray,
        halvings: np.ndarray,
        decide: Callable[[Any], np.ndarray],
    ) -> tuple[np.ndarray, Any]:
        """((n, C) symbols as `decide` leaves them, which is given each `CodingPass` and gives its steps; what is needed
        to write them). mask: (P,) bool; symbols: (n, C), plainly rounded; halvings: (n,)."""
        ...


class RateDistortion:
    """Walks along with the selection of a segment, latent frame by latent frame, and rounds its kept tokens."""

    def __init__(self, coder: TokenCoder, units: int, weight: float) -> None:
        """units: of a step; weight: the lambda, bits that a squared error of one whole step squared is worth for one
        latent frame.
        """
        self.coder, self.units, self.weight = coder, units, weight

    def round(self, memory: TokenMemory, tokens: KeptTokens) -> tuple[np.ndarray, Any]:
        """See `TokenRounding`. No symbol leaves what a file can hold."""
        with stage("token_coding"):
            return self.coder.code(
                memory, tokens.mask, tokens.symbols, tokens.halvings, lambda one: self.steps(one, tokens)
            )

    def steps(self, one: CodingPass, tokens: KeptTokens) -> np.ndarray:
        """int32 (m,): the whole steps of a pass's values that cost least, error and bits together."""
        plain = one.steps_of(tokens.symbols)
        exact = one.exact_steps_of(tokens.wanted)
        weight = one.squared_steps(tokens.frames[:, None] * np.float32(self.weight))
        moved = plain + np.sign(one.nearest - plain)
        least, greatest = tokens.range
        if least < SYMBOL_MIN + self.units or greatest > SYMBOL_MAX - self.units:
            # the expected value may lie a step beyond what a symbol can be
            moved = np.where(one.fits(moved), moved, plain)
        able = np.flatnonzero(moved != plain)
        harm = weight[able] * (np.square(exact[able] - moved[able]) - np.square(exact[able] - plain[able]))
        saved = one.bits(plain, able) - one.bits(moved, able)
        better = able[harm < saved]
        plain[better] = moved[better]
        return plain
