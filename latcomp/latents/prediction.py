"""What a position is expected to be before its latent frame is known.

Selection measures the temporal difference against it, tokens that go on from it are coded as their difference to it,
and a dropped position is filled with it. All three ask here, so that another prediction is one class more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from latcomp.latents.memory import TokenMemory


class Prediction(Protocol):
    """A rule that writer and reader follow alike: whole numbers in, whole numbers out, the same on every machine."""

    def predict(self, memory: TokenMemory) -> np.ndarray:
        """(P + 1, C) of the memory's type: the expected value of every position, zero in the last row."""
        ...


class Hold:
    """Every position stays what it was last kept as."""

    def predict(self, memory: TokenMemory) -> np.ndarray:
        """The last kept values."""
        return memory.kept


HOLD = Hold()
