"""Which tokens are kept: temporal selection beside InfoTok, uniform and random masks, on one tokenizer, LIT and
decoder.

Every method is given the latents of a segment and the frames behind them, and answers with keep masks of its groups. A
key group's first latent frame is always kept, as the container requires, and counts against the budget of every method
alike. ElasticTok's search has a file of its own, `elastic`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from einops import reduce
from numpy.typing import ArrayLike

from latcomp.bench.codec import BenchCodec, Segment
from latcomp.selection import SelectionCache, select_budget, select_group
from latcomp.selection.budget import tokens_for

# Roberts 2018, "The unreasonable effectiveness of quasirandom sequences": the two-dimensional R2 sequence
R2 = (0.7548776662466927, 0.5698402909980532)


@dataclass(frozen=True)
class Allocation:
    """What a method decided for one segment."""

    masks: list[np.ndarray]
    """(T, h, w) bool of each group."""
    decodes: int = 0
    """Runs of the tokenizer's decoder over a group that the decision took."""
    threshold: float | None = None
    """Of the temporal L1 difference, where the method has one."""

    @property
    def tokens(self) -> int:
        """Tokens kept."""
        return sum(int(mask.sum()) for mask in self.masks)


def by_budget(segment: Segment, codec: BenchCodec, keep: float) -> Allocation:
    """latcomp with a token budget (`encode --keep`): temporal L1 difference to the last kept value, met exactly.

    Source: arXiv 2606.06158, abstract, for the difference and the mask; the budget is our own. No network runs: the
    selection is replayed on the latents until the threshold is found. What the encoder needs beside it, the adjustment
    of the steps and the lookahead, belongs to the decision."""
    scale, recipe = codec.scale(segment), codec.recipe
    hints = codec.hints(segment, scale)
    chosen, threshold = select_budget(segment.latents, keep, recipe.rule, recipe.quantiser(scale), hints)
    return Allocation([selection.mask for selection in chosen], threshold=threshold)


def by_threshold(segment: Segment, codec: BenchCodec, threshold: float) -> Allocation:
    """latcomp with a fixed threshold (`encode --threshold`): one pass of selection over the latents, in order.

    Source: arXiv 2606.06158, abstract: temporal L1 difference of the latents, one fixed threshold, a binary keep mask.
    How many tokens that keeps follows from the clip. The default qualities of `encode` keep a few more tokens, whose
    values become finer; those are left out here, so that the threshold of a budget keeps the budget's tokens but for
    the few that the budget adds or takes back. Where less changes than a budget would keep, even threshold 0 keeps
    fewer."""
    scale, recipe = codec.scale(segment), codec.recipe
    hints = codec.hints(segment, scale)
    cache: SelectionCache | None = None
    masks = []
    for index, latents in enumerate(segment.latents):
        hint = hints[index] if hints else None
        selection, cache = select_group(latents, cache, threshold, recipe.rule, recipe.quantiser(scale), hint)
        masks.append(selection.mask)
    return Allocation(masks, threshold=threshold)


def by_infotok(segment: Segment, codec: BenchCodec, keep: float) -> Allocation:
    """InfoTok: the tokens whose pixels the decoder gets most wrong when all tokens are kept.

    Source: InfoTok, arXiv 2512.16975, and its code (YWolfeee/InfoTok, networks/ours_discrete_video.py: `forward`,
    `mask_tokens` with method 'mse'). All tokens, quantised, are decoded; the mean |error| over RGB and the pixels of
    each token, the proxy of the ELBO, is a token's worth (the source's block of 4 frames and 8x8 pixels is one token
    here too); the share of largest worth over the whole segment is kept (the source: over a window of 81 frames). The
    second decode, of what was kept, is the one every method needs. The source's encoder and decoder were trained with
    such masks; here the LIT fills, as for every method."""
    scale, spec = codec.scale(segment), codec.encoder.tokenizer.spec
    worth = []
    state = None
    for latents, frames in zip(segment.latents, segment.frames, strict=True):
        shown, state = codec.decode(codec.tensor(codec.plain(latents, scale)), state, scale)
        off = (codec.pixels(shown) - codec.pixels(codec.source(frames))).abs()
        sizes = {"a": spec.temporal, "b": spec.spatial, "c": spec.spatial}
        worth.append(reduce(off, "1 rgb (t a) (h b) (w c) -> t h w", "mean", **sizes).cpu().numpy())
    return Allocation(largest(worth, tokens_for(keep, segment.views)), decodes=len(worth))


def by_uniform(segment: Segment, keep: float) -> Allocation:
    """The same share of tokens everywhere, whatever the clip shows: each position is kept every 1/share latent frames.

    No source; the plain baseline. Positions take turns in the order of the R2 sequence, so that the tokens of each
    latent frame are spread evenly over it and their number is the same up to one."""
    tokens = tokens_for(keep, segment.views)
    (_, height, width), total = segment.shapes[0], segment.positions
    first = height * width
    share = (tokens - first) / max(1, total - first)
    turn = turns(height, width) / first
    frames = np.arange(total // first, dtype=float).reshape(-1, 1, 1)
    due = 1 - (turn + frames * share) % 1  # the later in its period, the sooner its turn
    return Allocation(largest(_by_group(due, segment), tokens))


def by_chance(segment: Segment, keep: float, seed: int) -> Allocation:
    """Tokens drawn at random, all alike, by numpy's PCG64 from a seed. No source; the plain baseline."""
    worth = np.random.default_rng(seed).random(
        (segment.positions // np.prod(segment.shapes[0][1:]), *segment.shapes[0][1:])
    )
    return Allocation(largest(_by_group(worth, segment), tokens_for(keep, segment.views)))


def all_tokens(segment: Segment) -> Allocation:
    """Every token: where all methods meet."""
    return Allocation([np.ones(shape, bool) for shape in segment.shapes])


def first_only(segment: Segment) -> Allocation:
    """No token but those of the segment's first latent frame: where all methods begin."""
    masks = [np.zeros(shape, bool) for shape in segment.shapes]
    masks[0][0] = True
    return Allocation(masks)


def turns(height: int, width: int) -> np.ndarray:
    """(height, width) int64, each number from 0 on once: the order of the positions that fills the grid evenly at every
    moment.
    """
    y, x = np.mgrid[0:height, 0:width]
    found = np.empty(height * width, np.int64)
    found[np.argsort((y * R2[0] + x * R2[1]).ravel() % 1, kind="stable")] = np.arange(found.size)
    return found.reshape(height, width)


def largest(worth: list[np.ndarray], tokens: int) -> list[np.ndarray]:
    """Keep masks (T, h, w) of `tokens` tokens in all: the first latent frame, and those of the largest worth (T, h, w)
    beyond it.

    Equal ones are taken in order t, y, x. A smaller number than the first latent frame has keeps just that.
    """
    flat = np.concatenate([part.ravel() for part in worth]).astype(np.float64)
    first = worth[0][0].size
    order = first + np.argsort(-flat[first:], kind="stable")
    mask = np.zeros(flat.size, bool)
    mask[:first] = True
    mask[order[: max(0, tokens - first)]] = True
    ends = np.cumsum([part.size for part in worth])[:-1]
    return [part.reshape(here.shape) for part, here in zip(np.split(mask, ends), worth, strict=True)]


def _by_group(values: ArrayLike, segment: Segment) -> list[np.ndarray]:
    """Values (T, h, w) of a segment, cut into its groups."""
    return np.split(np.asarray(values), np.cumsum([shape[0] for shape in segment.shapes])[:-1])
