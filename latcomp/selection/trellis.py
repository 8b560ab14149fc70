"""Which tokens to keep so that few give a quality: for each position the cheapest way through a group.

A position is held, or has tokens that each stand for a run of latent frames. Every run's error around its mean and a
price for each token make a trellis, and the Viterbi algorithm finds the cheapest path through it, for all positions at
once. All errors follow from the products of a position's latents with each other, so channels are gone through once.
x264 decides how many bits macroblocks get by a look at the frames ahead as well (its macroblock tree); here it is
decided exactly, within a group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from latcomp.latents import SYMBOL_MAX, FrameView, GroupView, Quantiser, TokenMemory
from latcomp.selection.lookahead import Lookahead

POSITIONS_AT_ONCE = 4096
BEHIND = 2.0  # latent frames behind a group that its last one stands for
ROUNDING_ERROR = 1.5  # squared steps, summed over channels, by which a kept token is off whatever it stands for


@dataclass(frozen=True)
class KeepPlan:
    """The tokens of a group to keep, over its window."""

    mask: np.ndarray
    """bool (T, h, w)."""
    ahead: Lookahead
    """Of each kept token the mean of what it stands for, and for how long it does."""


def plan_tokens(
    latents: np.ndarray, memory: TokenMemory | None, quantiser: Quantiser, price: float, view: GroupView | None = None
) -> KeepPlan:
    """The tokens of a group's latents (C, T, h, w) float32 that cost least: squared error in steps and price together.

    memory: the segment's before the group, of symbols, None for a key group; price: squared steps that one more token
    must save; view: what the group shows, None for all. A position that is shown for the first time is kept."""
    channels, frames = latents.shape[:2]
    view = GroupView.whole(frames, latents.shape[2:]) if view is None else view
    size = view.window.area
    shown = view.visible.reshape(frames, -1)
    weights = shown.astype(np.float32)
    weights[-1] *= 1 + BEHIND
    step = (quantiser.step * quantiser.step_scale).astype(np.float32)
    held, seen = np.zeros((size, channels), np.float32), np.zeros(size, bool)
    if memory is not None:
        around = memory.copy()
        around.look(FrameView.of((view.window,)))
        held = around.predicted()[:-1].astype(np.float32) / np.float32(quantiser.units)
        seen = around.seen
    mask = np.zeros((frames, size), bool)
    run = np.zeros((frames, size), np.int16)
    whole = np.zeros((frames, size), bool)
    flat = latents.reshape(channels, frames, -1)
    target = flat.copy()
    for start in range(0, size, POSITIONS_AT_ONCE):
        some = slice(start, start + POSITIONS_AT_ONCE)
        values = np.clip(flat[:, :, some].transpose(2, 1, 0) / step, -SYMBOL_MAX, SYMBOL_MAX)
        able = shown[:, some].T
        # differences to a latent frame that is shown: products of small numbers tell small errors apart
        origin = values[np.arange(len(values)), able.argmax(1)]
        values = np.where(able[:, :, None], values - origin[:, None], np.float32(0))
        trellis = _Trellis(values, held[some] - origin, seen[some], weights[:, some].T)
        for first, last, at in trellis.runs(price):
            part = slice(first, last + 1)
            times, here = weights[part, start + at].T, start + at
            mean = np.einsum("pt,ptc->pc", times, values[at, part]) / times.sum(1)[:, None]
            mask[first, here] = True
            run[first, here] = shown[part, here].sum(0) - 1
            whole[first, here] = last == frames - 1
            target[:, first, here] = ((mean + origin[at]) * step).T
    shape = (frames, *view.window.shape)
    return KeepPlan(
        mask.reshape(shape), Lookahead(target.reshape(latents.shape), run.reshape(shape), whole.reshape(shape))
    )


class _Trellis:
    """Of P positions: errors of every run of latent frames."""

    def __init__(self, values: np.ndarray, held: np.ndarray, seen: np.ndarray, weights: np.ndarray) -> None:
        """values: (P, T, C) in steps; held: (P, C); seen: (P,) whether it is known; weights: (P, T) of the latent
        frames' errors, 0 where a position is not shown."""
        self.shown, self.weights = weights > 0, weights
        self.count, self.frames = weights.shape
        products = values @ values.transpose(0, 2, 1)  # (P, T, T)
        squares = np.einsum("ptt->pt", products)
        self.squares = _running(weights * squares)
        self.products = products * weights[:, :, None] * weights[:, None, :]
        off = squares - 2 * np.einsum("ptc,pc->pt", values, held) + np.square(held).sum(1)[:, None]
        new = np.where(self.shown, np.float32(np.inf), np.float32(0))
        self.holding = _running(np.where(seen[:, None], weights * np.maximum(off, 0), new))

    def runs(self, price: float) -> Iterator[tuple[int, int, np.ndarray]]:
        """(first, last, positions) of what kept tokens stand for, on each position's cheapest path."""
        frames = self.frames
        best = self.holding.copy()  # (P, T + 1): least cost of the latent frames before each
        begins = np.full((frames + 1, self.count), -1)  # of the run that ends there; -1 is held from the start
        for first in range(frames):
            able = self.shown[:, first]
            length, weight = np.zeros(self.count, np.float32), np.zeros(self.count, np.float32)
            for last in range(first, frames):
                # of the run's weighted sum, whose squared length is `length`, the mean is the value with least error
                length += 2 * self.products[:, first:last, last].sum(1) + self.products[:, last, last]
                weight += self.weights[:, last]
                squares = self.squares[:, last + 1] - self.squares[:, first]
                error = np.maximum(squares - length / np.maximum(weight, np.float32(1)), 0)
                cost = best[:, first] + np.float32(price) + error + weight * np.float32(ROUNDING_ERROR)
                better = np.flatnonzero(able & (cost < best[:, last + 1]))
                best[better, last + 1], begins[last + 1, better] = cost[better], first
        end = np.full(self.count, frames)
        for last in range(frames, 0, -1):
            here = np.flatnonzero(end == last)
            end[here] = starts = begins[last, here]
            for first in np.unique(starts[starts >= 0]).tolist():
                yield first, last - 1, here[starts == first]


def _running(values: np.ndarray) -> np.ndarray:
    """(P, T + 1): sums of what stands before each of (P, T)."""
    return np.concatenate([np.zeros((len(values), 1), np.float32), np.cumsum(values, 1, dtype=np.float32)], 1)
