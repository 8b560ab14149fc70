"""Coarser steps where much changes, finer ones where little does: how a segment's step follows its content.

A constant step spends most bits on fast scenes, where the eye sees least, as video encoders with a constant rate factor
know (x264's `qcomp`). The measure is a count of bits that any reader of the latents can make, so no pass over the video
is added."""

from __future__ import annotations

import math

import numpy as np

from latcomp.latents import ADJUST_PER_OCTAVE, GroupView
from latcomp.latents.profile import CodingProfile

ADJUST_MOST = 32  # 32nds of an octave: steps are at most doubled or halved


def complexity(latents: np.ndarray, step: np.ndarray, view: GroupView | None = None) -> float:
    """Estimated bits per token of a group, at step scale 1.

    latents: (C, T, h, w) of a segment's first group; step: (C,). Each token counts the sum over channels of log2(1 +
    |v|), with v its symbols or their change since the latent frame before, whichever is less. A single latent frame
    counts a quarter of its symbols. view: what the group shows, None for all: tokens count that are visible, and were
    in the latent frame before."""
    symbols = np.rint(latents / step.astype(np.float32).reshape(-1, 1, 1, 1))
    alone = np.log2(1 + np.abs(symbols)).sum(0)  # (T, h, w)
    visible = None if view is None or view.full else view.visible
    if len(alone) == 1:
        return float((alone if visible is None else alone[visible]).mean()) / 4
    change = np.log2(1 + np.abs(np.diff(symbols, axis=1))).sum(0)  # (T - 1, h, w)
    bits = np.minimum(alone[1:], change)
    if visible is None:
        return float(bits.mean())
    both = visible[1:] & visible[:-1]
    return float(bits[both].mean()) if both.any() else float(alone[visible].mean()) / 4


def step_adjust(
    latents: np.ndarray, step: np.ndarray, quality: float, profile: CodingProfile, view: GroupView | None = None
) -> int:
    """Adjustment of a segment's steps in 32nds of an octave, from its first group's latents (C, T, h, w) and what it
    shows."""
    full, none = profile.complexity_full_until, profile.complexity_none_from
    strength = profile.complexity_strength * min(1.0, max(0.0, (none - quality) / (none - full)))
    bits = max(complexity(latents, step, view), 1e-3)
    wanted = ADJUST_PER_OCTAVE * strength * math.log2(bits / profile.complexity_bits)
    return max(-ADJUST_MOST, min(ADJUST_MOST, round(wanted)))
