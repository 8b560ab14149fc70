"""C_fill, the last filled latent frames of a segment, in world places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latcomp.inpaint.config import CONTEXT
from latcomp.latents import Box, GroupView


@dataclass(frozen=True, eq=False)
class FillContext:
    """At most the last two filled latent frames, over the window of the last group."""

    latents: Tensor
    """(1, C, K, h, w), zero where they are not visible."""
    visible: np.ndarray
    """bool (K, h, w): which positions they have."""
    window: Box
    """Where in the world they stand."""

    @classmethod
    def after(cls, earlier: FillContext | None, filled: Tensor, view: GroupView) -> FillContext:
        """The context that a filled group (1, C, T, h, w) leaves behind. earlier: what there was before it, None at the
        start of a segment; view: what the group shows."""
        visible = view.visible[-CONTEXT:]
        latents = filled[:, :, -CONTEXT:].clone()  # so that the rest of the group is not kept in memory with it
        if not view.full:
            latents.masked_fill_(torch.from_numpy(~visible).to(filled.device), 0)
        found = cls(latents, visible, view.window)
        missing = CONTEXT - len(visible)
        if earlier is None or missing <= 0:
            return found
        before = earlier.over(view.window)
        return cls(
            torch.cat([before.latents[:, :, -missing:], found.latents], dim=2),
            np.concatenate([before.visible[-missing:], visible]),
            view.window,
        )

    def over(self, window: Box) -> FillContext:
        """The same over another window: moved by whole positions, what the old one does not hold is not visible, and
        what the new one does not hold is gone."""
        if window == self.window:
            return self
        latents = self.latents.new_zeros((*self.latents.shape[:3], *window.shape))
        visible = np.zeros((len(self.visible), *window.shape), bool)
        both = self.window.both(window)
        if both.area:
            here, there = both.inside(self.window), both.inside(window)
            latents[(..., *there)] = self.latents[(..., *here)]
            visible[(..., *there)] = self.visible[(..., *here)]
        return FillContext(latents, visible, window)
