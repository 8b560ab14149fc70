"""Keep masks by a threshold on the temporal L1 difference, group after group.

Shapes: latents (C, T, h, w) float32; masks (T, h, w) bool. The difference of a position is mean over channels of
|z - reference| / channel scale. With reference "kept" it is taken against the position's last kept value as the reader will have it,
so a slow drift is kept as soon as it adds up; with "previous" against the previous latent frame. Both sides of the difference are
dequantised values: the quantiser's own noise then never looks like motion, the difference is small exactly where keeping the token
would buy little, and rounding of the network's arithmetic moves it in whole steps or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class QuantiserLike(Protocol):
    """What selection needs of a quantiser."""

    def quantise(self, latents: np.ndarray) -> np.ndarray:
        """Symbols of latents (C, ...)."""
        ...

    def quantise_near(self, latents: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Symbols of latents (C, ...) that prefer to stay at the last kept values (C, ...)."""
        ...

    def dequantise(self, symbols: np.ndarray) -> np.ndarray:
        """Latents of symbols (C, ...)."""
        ...


@dataclass(frozen=True)
class SelectionRule:
    """How tokens are chosen."""

    channel_scale: np.ndarray
    """(C,) what a difference in each channel is divided by."""
    reference: str = "kept"
    """'kept' or 'previous'."""


@dataclass
class SelectionCache:
    """C_sel: what selection carries from one group to the next.

    kept: (C, h, w) last kept value of every position; previous: (C, h, w) the last latent frame; both dequantised.
    """

    kept: np.ndarray
    previous: np.ndarray

    def copy(self) -> SelectionCache:
        """A copy that later groups do not change."""
        return SelectionCache(self.kept.copy(), self.previous.copy())


@dataclass(frozen=True)
class Selection:
    """One group's keep mask and what the reader will know from it.

    mask: (T, h, w) bool; difference: (T, h, w) float32, what the threshold was compared with (infinite where a key group keeps
    everything); symbols: (C, T, h, w) quantised latents of all positions; held: (C, T, h, w) the latents filled by hold.
    """

    mask: np.ndarray
    difference: np.ndarray
    symbols: np.ndarray
    held: np.ndarray


def temporal_difference(latents: np.ndarray, reference: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(h, w) mean over channels of |latents - reference| / scale; all (C, h, w), scale (C,)."""
    weights = (1.0 / (scale * len(scale))).astype(np.float32)
    return np.tensordot(weights, np.abs(latents - reference), axes=1)


def select_group(
    latents: np.ndarray, cache: SelectionCache | None, threshold: float, rule: SelectionRule, quantiser: QuantiserLike
) -> tuple[Selection, SelectionCache]:
    """The selection of one group and the cache for the next; without a cache the group is a key group.

    latents: (C, T, h, w) float32. A position is kept where its difference exceeds the threshold; a key group keeps all of its first
    latent frame. The result does not depend on how many groups are handed over at once: latent frames are decided in order.
    """
    frames = latents.shape[1]
    found = []
    mask = np.empty((frames, *latents.shape[2:]), bool)
    difference = np.empty(mask.shape, np.float32)
    held = np.empty_like(latents)
    state = cache.copy() if cache is not None else None
    for t in range(frames):
        symbols = quantiser.quantise(latents[:, t]) if state is None else quantiser.quantise_near(latents[:, t], state.kept)
        values = quantiser.dequantise(symbols)
        found.append(symbols)
        if state is None:
            mask[t], difference[t] = True, np.inf
            state = SelectionCache(values.copy(), values)
        else:
            reference = state.kept if rule.reference == "kept" else state.previous
            difference[t] = temporal_difference(values, reference, rule.channel_scale)
            mask[t] = difference[t] > threshold
            np.copyto(state.kept, values, where=mask[t])
            state.previous = values
        held[:, t] = state.kept
    if state is None:
        raise ValueError("a group has at least one latent frame")
    return Selection(mask, difference, np.stack(found, axis=1), held), state


def hold_with_mask(values: np.ndarray, mask: np.ndarray, kept: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Latents filled by hold under a given mask, (C, T, h, w), and the last kept values (C, h, w).

    values: (C, T, h, w), used where mask (T, h, w) is true; kept: (C, h, w) from before, None for a key group.
    """
    held = np.empty_like(values)
    state = np.zeros_like(values[:, 0]) if kept is None else kept.copy()
    for t in range(values.shape[1]):
        np.copyto(state, values[:, t], where=mask[t])
        held[:, t] = state
    return held, state
