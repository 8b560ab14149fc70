"""The kept tokens of a file's groups as latents, and the memory of the segment that they go into. No torch."""

from __future__ import annotations

import numpy as np

from latcomp.container import Group, Header
from latcomp.latents import LosslessQuantiser, Quantiser, StepScale, TokenMemory


class KeptValues:
    """Takes the groups of a file in order, from a key group on."""

    def __init__(self, header: Header, step: np.ndarray) -> None:
        """step: (C,) quantiser steps at step scale 1; unused in lossless files."""
        self.header, self.step = header, step
        self._memory: TokenMemory | None = None

    def starts_with(self, group: Group) -> bool:
        """Whether nothing before the group matters to it and to what follows."""
        return group.key or self._memory is None

    def take(self, group: Group) -> tuple[TokenMemory, np.ndarray, StepScale]:
        """(the segment's memory before the next group, its tokens (N, C) float32 as latents, the scale of their
        steps).
        """
        header = self.header
        if group.key or self._memory is None:
            self._memory = TokenMemory.start(header.grid, header.channels, np.float32)
        scale = StepScale(header.step_scale, group.step_adjust)
        quantiser: Quantiser | LosslessQuantiser = LosslessQuantiser()
        if header.coding != "lossless":
            quantiser = Quantiser(self.step, scale.value, units=header.units)
        return self._memory, np.ascontiguousarray(quantiser.dequantise(group.tokens.T).T, np.float32), scale
