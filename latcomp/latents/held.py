"""A group filled by hold, and what fills beyond it may look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latcomp.latents.memory import TokenMemory
from latcomp.latents.world import GroupView


@dataclass(frozen=True)
class HeldGroup:
    """A group with every dropped position at its prediction, over the group's window. Positions of a latent frame's box
    that it does not show have the value that `FrameView.spread` gives them; what lies outside of the box is zero."""

    held: np.ndarray
    """(C, T, h, w) float32."""
    mask: np.ndarray
    """bool (T, h, w): the keep mask."""
    age: np.ndarray
    """int32 (T, h, w): latent frames since each held value was kept, 0 where it is kept."""
    halvings: np.ndarray
    """uint8 (T, h, w): how many times the step behind each held value was halved."""
    view: GroupView
    """What the group shows."""


def hold(
    memory: TokenMemory,
    tokens: np.ndarray,
    mask: np.ndarray,
    halvings: np.ndarray | None = None,
    view: GroupView | None = None,
) -> HeldGroup:
    """The next group filled by hold; `memory`, of latents, moves on.

    tokens: (N, C) float32 kept tokens in order t, y, x; mask: (T, h, w) bool; halvings: (N,) uint8 of the tokens, None
    for none; view: what the group shows, None for a group without camera motion."""
    view = GroupView.whole(len(mask), mask.shape[1:]) if view is None else view
    held = np.zeros((tokens.shape[1], *mask.shape), np.float32)
    age, steps = np.zeros(mask.shape, np.int32), np.zeros(mask.shape, np.uint8)
    for frame in memory.advance_through(mask, tokens, halvings, view):
        here = view.frames[frame.t]
        view.part(held, frame.t)[...] = here.spread(memory.predicted_planes())
        view.part(age, frame.t)[...] = here.spread(memory.age)
        view.part(steps, frame.t)[...] = here.spread(memory.halvings)
    return HeldGroup(held, mask, age, steps, view)
