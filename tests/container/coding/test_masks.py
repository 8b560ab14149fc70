"""Masks by context are smaller than their packed bits, and a mask without holes has no bytes."""

from __future__ import annotations

import numpy as np

from latcomp.container.coding.masks import MaskState, encode_mask
from latcomp.container.format import MASK_ALL, MASK_CONTEXT
from latcomp.container.zstd import compress
from latcomp.latents import GroupView
from tests.container.make import groups, sized


def test_masks_by_context() -> None:
    """Masks of moving things take at least a tenth less than their bits under zstd."""
    of = sized(60, 80, 2)
    made = groups(of, 2)
    rng = np.random.default_rng(1)
    state = MaskState(of.grid)
    for group in made:
        mask = group.mask ^ (rng.random(group.mask.shape) < 0.005)
        mask[0] |= group.key
        coding, data = encode_mask(mask, group.view, state)
        assert coding == MASK_CONTEXT
        assert len(data) < 0.9 * len(compress(np.packbits(mask[int(group.key) :]).tobytes()))
        for frame in mask:
            state.advance(frame.reshape(-1))
    assert encode_mask(np.ones((3, 60, 80), bool), GroupView.whole(3, of.grid), state) == (MASK_ALL, b"")
