"""Scene cuts: found where nothing is in common, not in motion, light or a plain picture."""

from __future__ import annotations

import numpy as np

from latcomp.latents.profile import CodingProfile
from latcomp.selection.scenes import SceneCuts

C, H, W = 12, 10, 14
STEP = np.linspace(0.5, 2.0, C)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 6, (C, H, W)).astype(np.float32)


def jumps(frames: list[np.ndarray]) -> list[bool]:
    cuts = SceneCuts(STEP, CodingProfile())
    return [cuts.jumps(frame) for frame in frames]


def test_a_cut_is_found_where_it_is() -> None:
    """One picture with noise, then another: only the first latent frame of the second one jumps."""
    noise = np.random.default_rng(9).normal(0, 0.6, (10, C, H, W)).astype(np.float32)
    frames = [picture(1) + n for n in noise[:6]] + [picture(2) + n for n in noise[6:]]
    assert jumps(frames) == [False] * 6 + [True] + [False] * 3


def test_motion_that_goes_on_is_no_cut() -> None:
    """Every latent frame is new, as in a fast pan: a segment for each would cost much and help nobody."""
    assert not any(jumps([picture(0)] * 2 + [picture(seed) for seed in range(20)])[4:])


def test_a_plain_picture_begins_no_scene() -> None:
    """A fade to black has nothing in it that a segment could begin with."""
    assert not any(jumps([picture(3), picture(3), np.zeros((C, H, W), np.float32), np.zeros((C, H, W), np.float32)]))
