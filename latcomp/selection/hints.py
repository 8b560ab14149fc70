"""What a lookahead asks of a group's selection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LookaheadHints:
    """Better values and finer steps for what will be held: see `latcomp.selection.lookahead`."""

    target: np.ndarray
    """(C, T, h, w) latents to quantise instead of the true ones where a token is coded on its own."""
    halvings: np.ndarray
    """uint8 (T, h, w): halvings of the step of such tokens."""
    refine: np.ndarray | None = None
    """bool (h, w): positions to keep in the group's first latent frame though nothing changed, where their held value
    is coarser than asked for."""
    run: np.ndarray | None = None
    """(T, h, w): latent frames after each for which its value can be held."""
