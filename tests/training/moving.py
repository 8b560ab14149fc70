"""Latents of a clip whose camera moves, for tests of what is trained on them."""

import numpy as np

from latcomp.latents import GroupView
from latcomp.latents.frame_rule import FrameRule
from latcomp.training.world import WorldClip, WorldGroup


def moving_clip(channels: int, seed: int) -> WorldClip:
    """A clip of two groups whose camera goes down and to the right, so that positions leave and enter."""
    rng = np.random.default_rng(seed)
    spatial, size = 8, (56, 64)  # pixels
    path = [(5 * number // 2, 7 * number // 2) for number in range(64)]
    world = rng.normal(0, 3, (channels, 40, 48)) * np.linspace(4, 0.3, channels)[:, None, None]
    groups, parts, at = [], [], 0
    for number in range(2):
        view = GroupView.of(path[32 * number : 32 * number + 32], FrameRule(4, 4), *size, spatial)
        starts = []
        for frame in view.frames:
            starts.append(at)
            at += frame.box.area
            box = frame.box
            here = world[:, box.top : box.bottom, box.left : box.right] + rng.normal(0, 0.6, (channels, 1, 1))
            parts.append(here.reshape(channels, -1))
        groups.append(WorldGroup(number == 0, tuple(starts), view))
    return WorldClip(np.concatenate(parts, axis=1).astype(np.float16), tuple(groups))
