"""Positions of the latent grid, and the order of kept tokens: t, y, x."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FrameTokens:
    """Where the kept tokens of one latent frame are."""

    t: int
    """Number of the latent frame in its group."""
    mask: np.ndarray
    """(P,) bool: which positions are kept."""
    places: np.ndarray
    """(n,) intp: the kept positions y * columns + x, rising."""
    rows: slice
    """Rows of the group's tokens (N, C) that these are."""


def frames_of_tokens(mask: Iterable[np.ndarray]) -> Iterator[FrameTokens]:
    """Each latent frame of a keep mask with the rows of its tokens.

    mask: (T, h, w) or (T, P) bool, or what gives its latent frames one by one; each is asked for when its turn comes.
    """
    row = 0
    for t, frame in enumerate(mask):
        flat = frame.reshape(-1)
        places = np.flatnonzero(flat)
        yield FrameTokens(t, flat, places, slice(row, row + len(places)))
        row += len(places)
