"""Float latents bit for bit: their bytes as planes, as they are or as the XOR with the last kept ones."""

from __future__ import annotations

import numpy as np

from latcomp.container.coding.group_coder import GroupBytes, GroupContent, GroupShape, check_count
from latcomp.container.coding.masks import PlainMasks
from latcomp.container.coding.planes import join_bytes, split_bytes
from latcomp.container.format import LAYOUT_FLOAT_CHANGES, LAYOUT_FLOATS
from latcomp.container.zstd import compress, decompress
from latcomp.errors import DamagedFileError, UnsupportedFileError
from latcomp.latents import TokenMemory, frames_of_tokens

WHAT = "tokens"
BITS = np.dtype("<u4")
LEVEL = 6  # mantissas are noise: higher levels take minutes and save nothing


class LosslessCoder:
    """The `GroupCoder` of lossless files."""

    def __init__(self, grid: tuple[int, int], channels: int) -> None:
        """grid: (rows, columns) of positions."""
        self.masks = PlainMasks(grid)
        self.memory = TokenMemory.start(grid, channels, BITS)

    def encode(self, group: GroupContent) -> GroupBytes:
        """The smaller of the bits themselves and their XOR with the last kept ones."""
        mask = self.masks.encode(group.mask, group.view)
        bits = np.ascontiguousarray(group.tokens, "<f4").view(BITS)
        before = self.memory.advance_group(group.mask, bits, view=group.view)
        if not bits.size:
            return GroupBytes(*mask, LAYOUT_FLOATS, b"")
        plain, changed = compress(split_bytes(bits), LEVEL), compress(split_bytes(bits ^ before), LEVEL)
        if len(changed) < len(plain):
            return GroupBytes(*mask, LAYOUT_FLOAT_CHANGES, changed)
        return GroupBytes(*mask, LAYOUT_FLOATS, plain)

    def decode(self, data: GroupBytes, shape: GroupShape) -> GroupContent:
        """See `GroupCoder.decode`."""
        mask = self.masks.decode(data, shape)
        check_count(mask, shape.kept)
        tokens = self._tokens(data, mask, shape)
        self.masks.advance(mask, shape.view)
        return GroupContent(mask, tokens, None, shape.key, shape.scale, shape.view)

    def _tokens(self, data: GroupBytes, mask: np.ndarray, shape: GroupShape) -> np.ndarray:
        kept, layout, channels = shape.kept, data.token_layout, self.memory.kept.shape[1]
        if layout not in (LAYOUT_FLOATS, LAYOUT_FLOAT_CHANGES):
            raise UnsupportedFileError(f"{WHAT}: layout {layout} is not known: use a newer latcomp")
        if not kept and len(data.tokens):
            raise DamagedFileError(f"{WHAT}: bytes where none belong")
        size = kept * channels * BITS.itemsize
        content = decompress(data.tokens, size, WHAT, exactly=size) if kept else b""
        bits = join_bytes(content, kept, channels, BITS)
        for frame in frames_of_tokens(mask, shape.view):
            self.memory.look(frame.view)
            if layout == LAYOUT_FLOAT_CHANGES:
                bits[frame.rows] ^= self.memory.kept[frame.places]
            self.memory.advance(frame.places, bits[frame.rows])
        return bits.view("<f4").astype(np.float32, copy=False)
