"""Keep masks by a threshold on the temporal L1 difference, group after group (arXiv 2606.06158, section 3.1).

Shapes: latents (C, T, h, w) float32; masks (T, h, w) bool; both over a group's window of the world, of which each
latent frame shows P positions. The difference of a position is mean over channels of
|z - reference| / channel scale. With reference "kept" it is taken against the position's prediction, its last kept
value as the reader will have it, so a slow drift is kept as soon as it adds up; with "previous" against the previous
latent frame. Both sides of the difference are dequantised values: the quantiser's own noise then never looks like
motion, the difference is small exactly where keeping the token would buy little, and rounding of the network's
arithmetic moves it in whole steps or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from latcomp.latents import GroupView, HeldGroup, TokenMemory
from latcomp.selection.hints import LookaheadHints


class QuantiserLike(Protocol):
    """What selection needs of a quantiser."""

    @property
    def units(self) -> int:
        """Units of a step."""
        ...

    @property
    def dtype(self) -> type[np.generic]:
        """The type of a symbol."""
        ...

    def width(self, dims: int) -> np.ndarray:
        """Size of a unit in each channel, to broadcast over (C, ...) of `dims` dimensions."""
        ...

    def quantise(self, latents: np.ndarray, halvings: np.ndarray | None = None) -> np.ndarray:
        """Symbols of latents (C, ...), their steps halved `halvings` (...) times."""
        ...

    def quantise_near(self, latents: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Symbols of latents (C, ...) that are whole steps from `kept` (C, ...), and prefer to stay there."""
        ...

    def dequantise(self, symbols: np.ndarray) -> np.ndarray:
        """Latents of symbols (C, ...)."""
        ...


@dataclass(frozen=True)
class KeptTokens:
    """The kept tokens of one latent frame before they are rounded for good."""

    mask: np.ndarray
    """(P,) bool."""
    symbols: np.ndarray
    """(n, C) int32, plainly rounded."""
    halvings: np.ndarray
    """uint8 (n,) of their steps."""
    wanted: np.ndarray
    """(n, C) float32: the latents in units."""
    frames: np.ndarray
    """(n,) float32: latent frames that each is expected to stand for."""

    @cached_property
    def range(self) -> tuple[int, int]:
        """(least, greatest) symbol; zeros for no tokens."""
        return (int(self.symbols.min()), int(self.symbols.max())) if self.symbols.size else (0, 0)


class TokenRounding(Protocol):
    """Rounds the kept tokens of one latent frame after the other by what they cost."""

    def round(self, memory: TokenMemory, tokens: KeptTokens) -> tuple[np.ndarray, Any]:
        """((n, C) symbols, what their coder needs to write them). memory: as it stands before the latent frame."""
        ...


@dataclass(frozen=True)
class SelectionRule:
    """How tokens are chosen."""

    channel_scale: np.ndarray
    """(C,) what a difference in each channel is divided by."""
    reference: str = "kept"
    """'kept' or 'previous'."""
    absolute_share: float = 1 / 12
    """Share of channels that must change for a token to be coded on its own."""


@dataclass
class SelectionCache:
    """C_sel: what selection carries from one group to the next."""

    memory: TokenMemory
    """Of symbols, as a reader will have them."""
    previous: np.ndarray
    """(C, P) the last latent frame, dequantised: the reference 'previous'."""

    def copy(self) -> SelectionCache:
        """A copy that later groups do not change."""
        return SelectionCache(self.memory.copy(), self.previous)


@dataclass(frozen=True)
class Selection:
    """One group's keep mask and what the reader will know from it."""

    mask: np.ndarray
    """bool (T, h, w)."""
    difference: np.ndarray
    """float32 (T, h, w): what the threshold was compared with; infinite where a position is shown for the first time,
    minus infinite where it is not visible.
    """
    symbols: np.ndarray
    """(C, T, h, w) quantised latents of all visible positions."""
    halvings: np.ndarray
    """uint8 (T, h, w): how many times the step behind each held value was halved."""
    age: np.ndarray
    """int32 (T, h, w): latent frames since each held value was kept."""
    held: np.ndarray
    """(C, T, h, w): the latents filled by hold."""
    view: GroupView
    """What the group shows."""
    coded: tuple[Any, ...] | None = None
    """Of each latent frame what rounding by cost found out for the coder; None without it."""

    @property
    def held_group(self) -> HeldGroup:
        """The group filled by hold."""
        return HeldGroup(self.held, self.mask, self.age, self.halvings, self.view)


def temporal_difference(latents: np.ndarray, reference: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(P,) mean over channels of |latents - reference| / scale; both (C, P), scale (C,)."""
    weights = (1.0 / (scale * len(scale))).astype(np.float32)
    return np.tensordot(weights, np.abs(latents - reference), axes=1)


def select_group(
    latents: np.ndarray,
    cache: SelectionCache | None,
    threshold: float,
    rule: SelectionRule,
    quantiser: QuantiserLike,
    hints: LookaheadHints | None = None,
    forced: np.ndarray | None = None,
    rounding: TokenRounding | None = None,
    view: GroupView | None = None,
) -> tuple[Selection, SelectionCache]:
    """The selection of one group and the cache for the next; without a cache the group is a key group.

    latents: (C, T, h, w) float32. A position is kept where its difference exceeds the threshold, or as `forced` (T, h,
    w) has it; what is shown for the first time in a segment is kept. view: what the group shows, None for a group
    without camera motion. The result does not depend on how many groups are handed over at once, hints aside: latent
    frames are decided in order. A kept token is whole steps away from the last kept one (a delta), or stands on its own
    grid of steps (absolute) when most of it changed or when finer steps are asked for."""
    view = GroupView.whole(latents.shape[1], latents.shape[2:]) if view is None else view
    return _GroupSelection(latents, view, cache, rule, quantiser, hints, rounding).run(threshold, forced)


class _GroupSelection:
    """One group on its way: the state of the segment, and what was decided so far."""

    def __init__(
        self,
        latents: np.ndarray,
        view: GroupView,
        cache: SelectionCache | None,
        rule: SelectionRule,
        quantiser: QuantiserLike,
        hints: LookaheadHints | None,
        rounding: TokenRounding | None,
    ) -> None:
        self.latents, self.rule, self.quantiser, self.hints, self.rounding = latents, rule, quantiser, hints, rounding
        self.view = view
        if cache is None:
            self.memory = TokenMemory.start(view.frames[0] if view.frames else (0, 0), len(latents), quantiser.dtype)
            self.previous = np.zeros(0, np.float32)  # of a key group's first latent frame there is none, nor a look
        else:
            self.memory, self.previous = cache.memory.copy(), cache.previous

    def run(self, threshold: float, forced: np.ndarray | None) -> tuple[Selection, SelectionCache]:
        """The selection, latent frame by latent frame."""
        frames = self.latents.shape[1]
        if not frames:
            raise ValueError("a group has at least one latent frame")
        shape = self.view.shape
        mask = np.zeros(shape, bool)
        difference = np.full(shape, -np.inf, np.float32)
        halvings, age = np.zeros(shape, np.uint8), np.zeros(shape, np.int32)
        symbols = np.zeros(self.latents.shape, self.quantiser.dtype)
        held = np.zeros_like(self.latents)
        coded: list[Any] = []
        for t, here in enumerate(self.view.frames):
            self._look(t)
            kept = self.memory.predicted_planes()
            keeps, differs, plain, steps = self._chosen(t, kept, threshold, forced)
            found, code = self._rounded(plain, steps, keeps, t)
            coded.append(code)
            self.memory.advance(np.flatnonzero(keeps), found[:, keeps].T, steps[keeps])
            self.previous = self.quantiser.dequantise(found)
            for values, flat in ((mask, keeps), (difference, differs), (symbols, found)):
                self.view.put(values, t, flat)
            self.view.part(halvings, t)[...] = here.spread(self.memory.halvings)
            self.view.part(age, t)[...] = here.spread(self.memory.age)
            self.view.part(held, t)[...] = here.spread(self.quantiser.dequantise(self.memory.predicted_planes()))
        found_coded = None if self.rounding is None else tuple(coded)
        chosen = Selection(mask, difference, symbols, halvings, age, held, self.view, found_coded)
        return chosen, SelectionCache(self.memory, self.previous)

    def _look(self, t: int) -> None:
        """Turn to what latent frame t shows. What the one before did not show has no previous value: it counts as the
        last kept one.
        """
        before, view, begins = self.memory.view, self.view.frames[t], self.memory.first
        self.memory.look(view)
        if self.rule.reference == "previous" and view is not before and not begins:
            at = before.number_at(*view.world)
            known = at < before.count
            values = self.quantiser.dequantise(self.memory.predicted_planes()).astype(np.float32)
            values[:, known] = self.previous[:, at[known]]
            self.previous = values

    def _chosen(
        self, t: int, kept: np.ndarray, threshold: float, forced: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(mask (P,), difference (P,), symbols (C, P), halvings (P,)) of a latent frame before rounding by cost.

        kept: (C, P) last kept symbols."""
        new = ~self.memory.seen
        if new.all():
            steps = self._asked(t)
            return new, np.full(len(new), np.inf, np.float32), self.quantiser.quantise(self._target(t), steps), steps
        plain = self.quantiser.quantise_near(self.view.take(self.latents, t), kept)
        differs = self._difference(plain, kept)
        keeps = differs > threshold if forced is None else self.view.take(forced, t).copy()
        differs[new], keeps[new] = np.inf, True
        plain, steps = self._on_grids(plain, kept, keeps, t)
        return keeps, differs, plain, steps

    def _target(self, t: int) -> np.ndarray:
        """(C, P): the latents to quantise where a token is coded on its own."""
        return self.view.take(self.latents if self.hints is None else self.hints.target, t)

    def _asked(self, t: int) -> np.ndarray:
        """uint8 (P,): the halvings that are asked for."""
        if self.hints is None:
            return np.zeros(self.memory.positions, np.uint8)
        return self.view.take(self.hints.halvings, t)

    def _difference(self, symbols: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """float32 (P,): temporal L1 difference of symbols (C, P)."""
        values = self.quantiser.dequantise(symbols)
        reference = self.quantiser.dequantise(kept) if self.rule.reference == "kept" else self.previous
        return temporal_difference(values, reference, self.rule.channel_scale)

    def _on_grids(self, near: np.ndarray, kept: np.ndarray, mask: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray]:
        """(symbols (C, P), halvings (P,)) of one latent frame: on a grid of their own where most channels changed, a
        position is shown for the first time or finer steps are asked for, else as in `near`. `mask` gains the positions
        to refine.
        """
        units, new = self.quantiser.units, ~self.memory.seen
        halvings = self.memory.halvings.copy()
        if units == 1 and not new.any():
            return near, halvings
        asked = self._asked(t)
        own = new
        if units > 1:
            changed = np.count_nonzero(near != kept, axis=0) > self.rule.absolute_share * len(near)
            finer = asked > halvings
            if self.hints is not None and self.hints.refine is not None and t == 0:
                mask |= finer & self.view.take(self.hints.refine[None], t, 0)
            own = new | (mask & (changed | finer))
        if not own.any():
            return near, halvings
        fresh = self.quantiser.quantise(self._target(t)[:, own], asked[own])
        # on the coarse grid a value that hardly moved rests, as it does elsewhere
        rests = (near[:, own] == kept[:, own]) & (kept[:, own] % units == 0) & (asked[own] == 0) & ~new[own]
        symbols = near.copy()
        symbols[:, own] = np.where(rests, kept[:, own], fresh)
        halvings[own] = asked[own]
        return symbols, halvings

    def _rounded(self, symbols: np.ndarray, halvings: np.ndarray, mask: np.ndarray, t: int) -> tuple[np.ndarray, Any]:
        """(symbols (C, P) of one latent frame with its kept tokens rounded by what they cost, what the coder needs of
        them).
        """
        if self.rounding is None:
            return symbols, None
        run = np.zeros(len(mask), np.float32)
        if self.hints is not None and self.hints.run is not None:
            run = self.view.take(self.hints.run, t)
        wanted = (self._target(t)[:, mask] / self.quantiser.width(2)).T
        frames = run[mask].astype(np.float32) + 1
        tokens = KeptTokens(mask, symbols[:, mask].T, halvings[mask], wanted, frames)
        kept, code = self.rounding.round(self.memory, tokens)
        found = symbols.copy()
        found[:, mask] = kept.T
        return found, code
