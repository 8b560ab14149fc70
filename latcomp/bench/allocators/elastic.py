"""ElasticTok's search on our tokenizer: block by block, how many tokens does it take to meet a pixel error?

Source: ElasticTok, arXiv 2410.08368, and its code (LargeWorldModel/ElasticTok, elastic/inference.py,
`inference_binary`). *-CV* is the name that arXiv 2606.06158 gives to the scheme on a continuous video tokenizer.

- *Block.* The source's block is what its network takes at once: 4 frames, up to 2048 tokens. Here it is a group, which
  the LIT fills at once: 8 latent frames, 32 frames. Longer blocks make the search cheaper a frame, not dearer: networks
  run on larger pieces.
- *Order.* The source keeps a prefix of a block's tokens and was trained with random prefixes, so that any of them
  describes the whole block, the longer the finer. A frozen tokenizer has no such order, and one by temporal difference
  would hand our selection to the rival. So the order is fixed, the same for every clip: positions in the order of the
  R2 sequence, which fills a latent frame evenly, moved on by the golden ratio from one latent frame to the next, so
  that every prefix is spread evenly over the whole block. Of seven fixed orders tried on training clips it was the best
  at 20 and 30 % of the tokens (1.7 to 2.4 dB above plain t, y, x); whole latent frames from coarse to fine in time were
  1 dB better at half, but their error does not fall steadily, and bisection then stops anywhere.
- *Search.* Bisection over the number of tokens between a 16th of the block (128 of 2048 in the source) and all of it,
  in 2048 rungs: 11 probes. Each fills and decodes the block for real, going on from what the blocks before it
  committed, and is measured by the mean squared error over RGB pixels in [-1, 1]. The smallest number seen to be below
  the target is taken, all tokens if none was.
- *Commit.* One more pass with the number found carries fill and decoder on to the next block, as the source commits its
  cache. The source's last pass over all blocks is the decode that every method needs, and counts there.
- *In its favour.* The source's encoder sees the mask, so that each of its probes encodes as well; our latents do not
  depend on the mask, so the probes here fill and decode only. They take their tokens from the plain quantiser, without
  lookahead and rounding.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from latcomp.bench.allocators.methods import Allocation, turns
from latcomp.bench.codec import BenchCodec, Segment
from latcomp.inpaint.fill import Filler
from latcomp.latents import TokenMemory, hold

RUNGS = 2**11  # 11 probes
GOLDEN = (math.sqrt(5) - 1) / 2  # successive multiples of it, taken modulo 1, keep apart
LEAST_SHARE = 1 / 16  # of a block's tokens; the source's configuration has 128 of 2048
LADDER = (
    0.0625,
    0.125,
    0.2,
    0.3,
    0.4,
    0.5,
    0.65,
    0.8,
    1.0,
)  # shares of a block at which its error is looked at to find a target


@dataclass(frozen=True)
class Block:
    """A group as the search sees it."""

    latents: np.ndarray
    """(C, T, h, w), the encoder's."""
    plain: np.ndarray
    """The same out of the quantiser."""
    rank: np.ndarray
    """(T, h, w) int: place of each token in the order."""
    pixels: Tensor
    """(1, 3, T, H, W) in [-1, 1], the source."""
    least: int
    """Tokens that are always kept."""


@dataclass
class BlockState:
    """What a block hands to the next: hold, fill and decoder."""

    memory: TokenMemory
    """Of latents."""
    filler: Filler
    decoder: Any = None  # state of the tokenizer's decoder


def order_of(shape: tuple[int, int, int], key: bool) -> np.ndarray:
    """(T, h, w) int64: place of each token of a block, 0 is kept first; a key group begins with its first latent
    frame.
    """
    frames, height, width = shape
    late = (turns(height, width) / (height * width) + np.arange(frames).reshape(-1, 1, 1) * GOLDEN) % 1
    if key:
        late[0] = -1
    rank = np.empty(late.size, np.int64)
    rank[np.argsort(late.ravel(), kind="stable")] = np.arange(late.size)
    return rank.reshape(shape)


def probes_of(least: int, most: int) -> int:
    """How many probes a search between two numbers of tokens takes: 11, fewer where there are fewer numbers than
    rungs.
    """
    return math.ceil(math.log2(max(1, min(RUNGS, most - least))))


Ladder = dict[int, float]
"""Errors of a block by its number of tokens."""


class ElasticSearch:
    """The search over one segment. `decodes` counts runs of fill and decoder over a block, `seen` holds the errors of
    each block.
    """

    def __init__(self, segment: Segment, codec: BenchCodec) -> None:
        self.segment, self.codec = segment, codec
        self.scale = codec.scale(segment)
        self.decodes = 0
        self.seen: list[Ladder] = [{} for _ in segment.groups]

    def allocate(self, target: float) -> Allocation:
        """The masks whose blocks are below the target, a mean squared error over RGB pixels in [-1, 1]."""
        self.decodes = 0
        state = self._start()
        masks = []
        for index in range(len(self.segment.groups)):
            block = self._block(index)
            tokens = self._search(block, state, target, self.seen[index])
            _, state = self._probe(block, state, tokens)
            masks.append(block.rank < tokens)
        return Allocation(masks, self.decodes)

    def climb(self) -> None:
        """Look at each block's errors at some shares of its tokens, the blocks before it kept whole."""
        state = self._start()
        for index in range(len(self.segment.groups)):
            block = self._block(index)
            for tokens in sorted({max(block.least, round(share * block.rank.size)) for share in LADDER}):
                self.seen[index][tokens], after = self._probe(block, state, tokens)
            state = after

    def _start(self) -> BlockState:
        latents = self.segment.latents[0]
        return BlockState(TokenMemory.start(latents.shape[2:], len(latents), np.float32), self.codec.filler())

    def _block(self, index: int) -> Block:
        latents = self.segment.latents[index]
        shape = self.segment.shapes[index]
        least = math.ceil(LEAST_SHARE * math.prod(shape))
        if index == 0:
            least = max(least, shape[1] * shape[2])
        plain = self.codec.plain(latents, self.scale)
        pixels = self.codec.pixels(self.codec.source(self.segment.frames[index]))
        return Block(latents, plain, order_of(shape, index == 0), pixels, least)

    def _search(self, block: Block, state: BlockState, target: float, seen: Ladder) -> int:
        """Tokens of the block."""
        most = block.rank.size
        rungs = max(1, min(RUNGS, most - block.least))
        low, high = 0, rungs  # the lower one is never known to do, the upper one does or is all there is
        while high - low > 1:
            middle = (low + high) // 2
            tokens = _tokens_at(middle, rungs, block)
            error, _ = self._probe(block, state, tokens)
            seen[tokens] = error
            if error < target:
                high = middle
            else:
                low = middle
        return _tokens_at(high, rungs, block)

    def _probe(self, block: Block, state: BlockState, tokens: int) -> tuple[float, BlockState]:
        """(error of the block with its first tokens kept, what it would hand to the next)."""
        self.decodes += 1
        mask = block.rank < tokens
        after = BlockState(state.memory.copy(), copy.copy(state.filler))
        held = hold(after.memory, np.ascontiguousarray(block.plain.transpose(1, 2, 3, 0)[mask]), mask)
        _, filled = after.filler.fill_best(held, block.latents, self.scale)
        shown, after.decoder = self.codec.decode(filled, state.decoder, self.scale)
        return float((self.codec.pixels(shown) - block.pixels).square().mean()), after


def _tokens_at(rung: int, rungs: int, block: Block) -> int:
    """The number of tokens of a rung; the last one is the whole block."""
    return block.least + round(rung * (block.rank.size - block.least) / rungs)


def target_for(ladders: Sequence[Ladder], tokens: float) -> float:
    """The error at which blocks of such ladders would keep so many tokens in all, by interpolation; clipped to what
    they can reach.

    The source is used at a fixed error; where it is compared at a number of tokens, this looks for the error that gives
    it. It is no part of the method, and its time is not counted."""
    curves = []
    for ladder in ladders:
        counts = sorted(ladder)
        curves.append((np.array(counts, float), np.log(np.minimum.accumulate([ladder[count] for count in counts]))))
    low, high = min(float(errors[-1]) for _, errors in curves), max(float(errors[0]) for _, errors in curves)
    for _ in range(50):
        middle = (low + high) / 2
        total = sum(float(np.interp(-middle, -errors, counts)) for counts, errors in curves)
        if total > tokens:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)
