"""Keep masks by a threshold on the temporal L1 difference, group after group.

Shapes: latents (C, T, h, w) float32; masks (T, h, w) bool. The difference of a position is mean over channels of
|z - reference| / channel scale. With reference "kept" it is taken against the position's last kept value as the reader
will have it, so a slow drift is kept as soon as it adds up; with "previous" against the previous latent frame. Both
sides of the difference are dequantised values: the quantiser's own noise then never looks like motion, the difference
is small exactly where keeping the token would buy little, and rounding of the network's arithmetic moves it in whole
steps or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

ALONE_SHARE = 1 / 12  # share of channels that must change for a token to stand on its own grid


class QuantiserLike(Protocol):
    """What selection needs of a quantiser."""

    @property
    def units(self) -> int:
        """Units of a step."""
        ...

    def width(self, dims: int) -> np.ndarray:
        """Size of a unit in each channel, to broadcast over (C, ...) of so many dimensions."""
        ...

    def quantise(self, latents: np.ndarray, octaves: np.ndarray | None = None) -> np.ndarray:
        """Symbols of latents (C, ...), their steps halved `octaves` (...) times."""
        ...

    def quantise_near(self, latents: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Symbols of latents (C, ...) that are whole steps from the last kept ones (C, ...), and prefer to stay
        there.
        """
        ...

    def dequantise(self, symbols: np.ndarray) -> np.ndarray:
        """Latents of symbols (C, ...)."""
        ...


class RoundingLike(Protocol):
    """Rounds the kept tokens of one latent frame after the other by what they cost."""

    def rounded(
        self, mask: np.ndarray, symbols: np.ndarray, octaves: np.ndarray, wanted: np.ndarray, frames: np.ndarray
    ) -> np.ndarray:
        """(n, C) symbols of the kept tokens of mask (P,).

        symbols: (n, C) plainly rounded; octaves: (n,); wanted: (n, C) the latents in units; frames: (n,) latent frames
        each stands for."""
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

    kept: (C, h, w) symbols of the last kept value of every position; octaves: (h, w) uint8 how many times its step was
    halved; previous: (C, h, w) the last latent frame, dequantised."""

    kept: np.ndarray
    octaves: np.ndarray
    previous: np.ndarray

    def copy(self) -> SelectionCache:
        """A copy that later groups do not change."""
        return SelectionCache(self.kept.copy(), self.octaves.copy(), self.previous.copy())


@dataclass(frozen=True)
class Selection:
    """One group's keep mask and what the reader will know from it.

    mask: (T, h, w) bool; difference: (T, h, w) float32, what the threshold was compared with (infinite where a key
    group keeps everything); symbols: (C, T, h, w) quantised latents of all positions; octaves: (T, h, w) uint8, how
    many times the step behind each held value was halved; held: (C, T, h, w) the latents filled by hold."""

    mask: np.ndarray
    difference: np.ndarray
    symbols: np.ndarray
    octaves: np.ndarray
    held: np.ndarray


@dataclass(frozen=True)
class Wishes:
    """What a lookahead asks for: see `latcomp.selection.lookahead`.

    target: (C, T, h, w) latents to quantise instead of the true ones; octaves: (T, h, w) uint8 halvings of the step of
    tokens that stand on their own; refine: (h, w) bool or None, positions to keep in the group's first latent frame
    though nothing changed, when their held value is coarser than asked for."""

    target: np.ndarray
    octaves: np.ndarray
    refine: np.ndarray | None = None
    run: np.ndarray | None = None
    """(T, h, w) latent frames after each for which its value can be held."""


def temporal_difference(latents: np.ndarray, reference: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(h, w) mean over channels of |latents - reference| / scale; all (C, h, w), scale (C,)."""
    weights = (1.0 / (scale * len(scale))).astype(np.float32)
    return np.tensordot(weights, np.abs(latents - reference), axes=1)


def select_group(
    latents: np.ndarray,
    cache: SelectionCache | None,
    threshold: float,
    rule: SelectionRule,
    quantiser: QuantiserLike,
    wishes: Wishes | None = None,
    forced: np.ndarray | None = None,
    rounding: RoundingLike | None = None,
) -> tuple[Selection, SelectionCache]:
    """The selection of one group and the cache for the next; without a cache the group is a key group.

    latents: (C, T, h, w) float32. A position is kept where its difference exceeds the threshold, or as `forced` (T, h,
    w) has it; a key group keeps all of its first latent frame. The result does not depend on how many groups are handed
    over at once, wishes aside: latent frames are decided in order. A kept token is whole steps away from the last kept
    one, or stands on its own grid of steps when most of it changed or when finer steps are wished for."""
    frames, grid = latents.shape[1], latents.shape[2:]
    found: np.ndarray | None = None
    mask = np.empty((frames, *grid), bool)
    difference = np.empty(mask.shape, np.float32)
    octaves = np.zeros(mask.shape, np.uint8)
    held = np.empty_like(latents)
    state = cache.copy() if cache is not None else None
    for t in range(frames):
        target = latents[:, t] if wishes is None else wishes.target[:, t]
        wanted = np.zeros(grid, np.uint8) if wishes is None else wishes.octaves[t]
        if state is None:
            symbols = quantiser.quantise(target, wanted)
            mask[t], difference[t] = True, np.inf
            values = quantiser.dequantise(symbols)
            state = SelectionCache(symbols.copy(), wanted.copy(), values)
            if rounding is not None:
                symbols = _rounded(symbols, target, mask[t], state, quantiser, wishes, t, rounding)
                state.kept, state.previous = symbols.copy(), quantiser.dequantise(symbols)
        else:
            symbols = quantiser.quantise_near(latents[:, t], state.kept)
            values = quantiser.dequantise(symbols)
            reference = quantiser.dequantise(state.kept) if rule.reference == "kept" else state.previous
            difference[t] = temporal_difference(values, reference, rule.channel_scale)
            mask[t] = difference[t] > threshold if forced is None else forced[t]
            if quantiser.units > 1:
                symbols = _own_grid(symbols, target, mask[t], wanted, state, quantiser, wishes, t)
                if rounding is not None:
                    symbols = _rounded(symbols, target, mask[t], state, quantiser, wishes, t, rounding)
                values = quantiser.dequantise(symbols)
            np.copyto(state.kept, symbols, where=mask[t])
            state.previous = values
        if found is None:
            found = np.empty(latents.shape, symbols.dtype)
        found[:, t] = symbols
        octaves[t] = state.octaves
        held[:, t] = quantiser.dequantise(state.kept)
    if state is None or found is None:
        raise ValueError("a group has at least one latent frame")
    return Selection(mask, difference, found, octaves, held), state


def _own_grid(
    near: np.ndarray,
    target: np.ndarray,
    mask: np.ndarray,
    wanted: np.ndarray,
    state: SelectionCache,
    quantiser: QuantiserLike,
    wishes: Wishes | None,
    t: int,
) -> np.ndarray:
    """The symbols (C, h, w) of one latent frame, on a grid of their own where most channels changed or finer steps are
    wished for.

    `mask` gains the positions to refine; octaves in `state` follow.
    """
    alone = np.count_nonzero(near != state.kept, axis=0) > ALONE_SHARE * len(near)
    finer = wanted > state.octaves
    if wishes is not None and wishes.refine is not None and t == 0:
        mask |= finer & wishes.refine
    own = mask & (alone | finer)
    if not own.any():
        return near
    fresh = quantiser.quantise(target[:, own], wanted[own])
    # on the coarse grid a value that hardly moved rests, as it does elsewhere
    rests = (near[:, own] == state.kept[:, own]) & (state.kept[:, own] % quantiser.units == 0) & (wanted[own] == 0)
    near = near.copy()
    near[:, own] = np.where(rests, state.kept[:, own], fresh)
    state.octaves[own] = wanted[own]
    return near


def _rounded(
    symbols: np.ndarray,
    target: np.ndarray,
    mask: np.ndarray,
    state: SelectionCache,
    quantiser: QuantiserLike,
    wishes: Wishes | None,
    t: int,
    rounding: RoundingLike,
) -> np.ndarray:
    """The symbols (C, h, w) of one latent frame with its kept tokens rounded by what they cost."""
    run = np.zeros(mask.shape, np.float32) if wishes is None or wishes.run is None else wishes.run[t]
    found = symbols.copy()
    wanted = (target[:, mask] / quantiser.width(2)).T
    kept = rounding.rounded(
        mask.reshape(-1), symbols[:, mask].T, state.octaves[mask], wanted, run[mask].astype(np.float32) + 1
    )
    found[:, mask] = kept.T
    return found
