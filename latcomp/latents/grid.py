"""Positions of the latent grid, and the order of kept tokens: t, y, x over what each latent frame shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from latcomp.latents.world import FrameView, GroupView


@dataclass(frozen=True)
class FrameTokens:
    """Where the kept tokens of one latent frame are."""

    t: int
    """Number of the latent frame in its group."""
    mask: np.ndarray
    """(P,) bool: which positions are kept."""
    places: np.ndarray
    """(n,) intp: numbers of the kept positions, rising."""
    rows: slice
    """Rows of the group's tokens (N, C) that these are."""
    view: FrameView | None = None
    """What the latent frame shows, P positions; None where that does not change."""


def frames_of_tokens(mask: Iterable[np.ndarray], view: GroupView | None = None) -> Iterator[FrameTokens]:
    """Each latent frame of a keep mask with the rows of its tokens.

    mask: (T, h, w) bool, or what gives its latent frames one by one; each is looked at when its turn comes. view: what
    the group shows; None where that does not change, and then (T, P) will do.
    """
    row = 0
    for t, frame in enumerate(mask):
        flat = frame.reshape(-1) if view is None else view.take(frame[None], t, 0)
        places = np.flatnonzero(flat)
        yield FrameTokens(t, flat, places, slice(row, row + len(places)), None if view is None else view.frames[t])
        row += len(places)
