"""A group filled by hold, and what fills beyond it may look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latcomp.latents.memory import TokenMemory


@dataclass(frozen=True)
class HeldGroup:
    """A group with every dropped position at its prediction."""

    held: np.ndarray
    """(C, T, h, w) float32."""
    mask: np.ndarray
    """bool (T, h, w): the keep mask."""
    age: np.ndarray
    """int32 (T, h, w): latent frames since each held value was kept, 0 where it is kept."""
    halvings: np.ndarray
    """uint8 (T, h, w): how many times the step behind each held value was halved."""


def hold(memory: TokenMemory, tokens: np.ndarray, mask: np.ndarray, halvings: np.ndarray | None = None) -> HeldGroup:
    """The next group filled by hold; `memory`, of latents, moves on.

    tokens: (N, C) float32 kept tokens in order t, y, x; mask: (T, h, w) bool; halvings: (N,) uint8 of the tokens, None
    for none."""
    held = np.empty((tokens.shape[1], *mask.shape), np.float32)
    age, steps = np.empty(mask.shape, np.int32), np.empty(mask.shape, np.uint8)
    for frame in memory.advance_through(mask, tokens, halvings):
        held[:, frame.t] = memory.predicted_grid()
        age[frame.t], steps[frame.t] = memory.age.reshape(memory.grid), memory.halvings.reshape(memory.grid)
    return HeldGroup(held, mask, age, steps)
