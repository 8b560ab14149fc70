"""The `GroupCoder` of files without a prior: contexts, repeats or plain planes, whichever is smallest for a group."""

from __future__ import annotations

import numpy as np

from latcomp.container.coding.context.repeats import changed_tokens, decode_repeats, encode_repeats
from latcomp.container.coding.context.tokens import Model, decode_context, encode_context
from latcomp.container.coding.group_coder import GroupBytes, GroupContent, GroupShape, check_count, check_symbols
from latcomp.container.coding.masks import PlainMasks
from latcomp.container.coding.planes import planes_of_symbols, symbols_of_planes
from latcomp.container.format import LAYOUT_CONTEXT, LAYOUT_PLANES, LAYOUT_REPEATS
from latcomp.container.zstd import QUICK_LEVEL, compress
from latcomp.errors import DamagedFileError, UnsupportedFileError
from latcomp.latents import TokenMemory

WHAT = "tokens"
PLANES_CHANCE = 1.35  # planes under the quick level may be so much larger and still win at the highest
REPEATS_SHARE = 0.02  # share of tokens that repeat their last kept value from which it pays to leave them out


class ContextCoder:
    """Codes the groups of one segment."""

    def __init__(self, grid: tuple[int, int], channels: int, planes_alone: bool = False) -> None:
        """grid: (rows, columns) of positions; planes_alone: whether a writer does without contexts."""
        self.masks = PlainMasks(grid)
        self.memory = TokenMemory.start(grid, channels)
        self._model: Model | None = None  # of the last group in the context layout
        self._planes_alone = planes_alone

    def encode(self, group: GroupContent) -> GroupBytes:
        """See `GroupCoder.encode`."""
        check_symbols(group.tokens)
        mask = self.masks.encode(group.mask, group.view)
        tokens = self._tokens(group) if group.tokens.size else (LAYOUT_PLANES, b"")
        self.memory.advance_group(group.mask, group.tokens, view=group.view)
        return GroupBytes(*mask, *tokens)

    def _tokens(self, group: GroupContent) -> tuple[int, bytes]:
        """(layout id, bytes), the smallest that is found."""
        planes = planes_of_symbols(group.tokens)
        if self._planes_alone:
            return LAYOUT_PLANES, compress(planes)
        mask, symbols, view = group.mask, group.tokens, group.view
        rules = view, self.memory, self._model
        chosen: Model | None
        best, chosen = encode_context(symbols, mask, *rules)
        layout = LAYOUT_CONTEXT
        changed = changed_tokens(symbols, self.memory.copy().advance_group(mask, symbols, view=view))
        if np.count_nonzero(~changed) > REPEATS_SHARE * len(changed):
            shorter, other = encode_repeats(symbols, changed, mask, *rules)
            if len(shorter) < len(best):
                best, layout, chosen = shorter, LAYOUT_REPEATS, other
        if len(compress(planes, QUICK_LEVEL)) < len(best) * PLANES_CHANCE:
            packed = compress(planes)
            if len(packed) < len(best):
                return LAYOUT_PLANES, packed
        self._model = chosen
        return layout, best

    def decode(self, data: GroupBytes, shape: GroupShape) -> GroupContent:
        """See `GroupCoder.decode`."""
        mask = self.masks.decode(data, shape)
        check_count(mask, shape.kept)
        tokens = self._read(data, mask, shape)
        self.masks.advance(mask, shape.view)
        return GroupContent(mask, tokens, None, shape.key, shape.scale, shape.view)

    def _read(self, data: GroupBytes, mask: np.ndarray, shape: GroupShape) -> np.ndarray:
        layout, channels = data.token_layout, self.memory.kept.shape[1]
        if layout not in (LAYOUT_PLANES, LAYOUT_CONTEXT, LAYOUT_REPEATS):
            raise UnsupportedFileError(f"{WHAT}: layout {layout} is not known: use a newer latcomp")
        symbols = np.zeros((0, channels), np.int32)
        if not shape.kept:
            if len(data.tokens):
                raise DamagedFileError(f"{WHAT}: bytes where none belong")
        elif layout == LAYOUT_PLANES:
            symbols = symbols_of_planes(data.tokens, shape.kept, channels)
        else:
            rules = shape.view, self.memory, self._model
            if layout == LAYOUT_CONTEXT:
                symbols, self._model = decode_context(data.tokens, mask, *rules)
            else:
                symbols, self._model = decode_repeats(data.tokens, mask, *rules)
            return symbols
        self.memory.advance_group(mask, symbols, view=shape.view)
        return symbols
