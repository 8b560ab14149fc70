"""The `GroupCoder` of files whose tokens are coded by what was learned from those before, and what rounds tokens by
what they cost under it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from latcomp.container.coding.adaptive.frame import AdaptiveFrame, State
from latcomp.container.coding.group_coder import GroupBytes, GroupContent, GroupShape, check_count, check_symbols
from latcomp.container.coding.masks import PlainMasks
from latcomp.container.coding.prior.tables import TableDecoder, TableEncoder
from latcomp.container.format import LAYOUT_ADAPTIVE
from latcomp.errors import DamagedFileError, UnsupportedFileError
from latcomp.latents import FrameView, TokenMemory, frames_of_tokens

WHAT = "tokens"


class AdaptiveCoder:
    """Codes the groups of one segment."""

    def __init__(self, grid: tuple[int, int], channels: int) -> None:
        """grid: (rows, columns) of positions."""
        self.masks = PlainMasks(grid)
        self.memory = TokenMemory.start(grid, channels)
        self._state = State.start(self.memory)

    def encode(self, group: GroupContent) -> GroupBytes:
        """See `GroupCoder.encode`."""
        check_symbols(group.tokens)
        mask = self.masks.encode(group.mask, group.view)
        coder = TableEncoder()
        for frame in frames_of_tokens(group.mask, group.view):
            self.memory.look(frame.view)
            going, symbols = AdaptiveFrame(self._state, self.memory, frame.mask), group.tokens[frame.rows]
            for one in going.passes():
                values = one.steps_of(symbols)
                one.learn(values, one.write(coder, values))
            going.end()
            self.memory.advance(frame.places, symbols)
        return GroupBytes(*mask, LAYOUT_ADAPTIVE, coder.finish())

    def decode(self, data: GroupBytes, shape: GroupShape) -> GroupContent:
        """See `GroupCoder.decode`."""
        if data.token_layout != LAYOUT_ADAPTIVE:
            raise UnsupportedFileError(f"{WHAT}: layout {data.token_layout} is not known: use a newer latcomp")
        mask = self.masks.decode(data, shape)
        check_count(mask, shape.kept)
        tokens = np.empty((shape.kept, self.memory.kept.shape[1]), np.int32)
        try:
            coder = TableDecoder(data.tokens)
            for frame in frames_of_tokens(mask, shape.view):
                self.memory.look(frame.view)
                going, symbols = AdaptiveFrame(self._state, self.memory, frame.mask), tokens[frame.rows]
                for one in going.passes():
                    values, found = one.read(coder)
                    one.learn(values, found)
                    one.put_into(symbols, values)
                going.end()
                self.memory.advance(frame.places, symbols)
            coder.check_end()
        except DamagedFileError as error:
            raise DamagedFileError(f"{WHAT}: {error}") from None
        self.masks.advance(mask, shape.view)
        return GroupContent(mask, tokens, None, shape.key, shape.scale, shape.view)


class AdaptiveCosts:
    """Codes the latent frames of one segment in order, while they are selected: what `latcomp.selection.rdo` decides is
    rounded by.

    One that is coded out of order is rounded by what is known of it alone: a reader knows nothing of any of this."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._left: tuple[FrameView, np.ndarray] | None = None
        """What the last latent frame showed, and the last kept values (P + 1, C) behind it."""

    def code(
        self,
        memory: TokenMemory,
        mask: np.ndarray,
        symbols: np.ndarray,
        halvings: np.ndarray,
        decide: Callable[[Any], np.ndarray],
    ) -> tuple[np.ndarray, None]:
        """((n, C) int32 symbols as `decide` leaves them, None). memory: as it stands before the latent frame; mask:
        (P,) bool; symbols: (n, C) int32, plainly rounded."""
        if self._state is None or not self._follows(memory):
            self._state = State.start(memory)
        frame, found = AdaptiveFrame(self._state, memory, mask), symbols.copy()
        for one in frame.passes():
            values = decide(one)
            one.learn(values, one.table_symbols(values)[0])
            one.put_into(found, values)
        frame.end()
        kept = memory.kept.copy()
        kept[np.flatnonzero(mask)] = found
        self._left = memory.view, kept
        return found, None

    def _follows(self, memory: TokenMemory) -> bool:
        """Whether a segment stands where the last latent frame left it."""
        if self._left is None or memory.first:
            return False
        view, kept = self._left
        at = view.number_at(*memory.view.world)
        shown = at < view.count
        return np.array_equal(kept[at[shown]], memory.kept[:-1][shown])
