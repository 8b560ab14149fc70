"""Kept tokens to bytes and back: what is remembered inside a segment, and the choice of a layout for each group."""

from __future__ import annotations

import numpy as np

from latcomp.container.format import SYMBOL_MAX, SYMBOL_MIN
from latcomp.container.header import Header
from latcomp.container.zstd import compress, decompress
from latcomp.errors import DamagedFileError, LimitError, UnsupportedFileError

WHAT = "tokens"


class TokenState:
    """What a segment remembers between groups: the last kept value of every position, zero before the first."""

    def __init__(self, header: Header) -> None:
        self.rows, self.columns = header.grid
        self.channels = header.channels
        self.lossless = header.coding == "lossless"
        dtype = np.uint32 if self.lossless else np.int16
        self.last = np.zeros((self.rows * self.columns, self.channels), dtype)


def encode_tokens(tokens: np.ndarray, mask: np.ndarray, state: TokenState) -> tuple[int, bytes]:
    """(layout id, bytes) of kept tokens (N, C) at the positions of `mask` (T, h, w)."""
    if state.lossless:
        return 1, compress(np.ascontiguousarray(tokens.T).view(np.uint8).reshape(-1, 4).T.tobytes(), 3)
    if tokens.size and (tokens.min() < SYMBOL_MIN or tokens.max() > SYMBOL_MAX):
        raise LimitError(f"a symbol of {tokens.min()} or {tokens.max()} passes 16 bits: choose a lower quality")
    return 0, compress(np.ascontiguousarray(tokens.T.astype(np.int16)).view(np.uint8).reshape(-1, 2).T.tobytes(), 9)


def decode_tokens(layout: int, data: bytes | memoryview, mask: np.ndarray, state: TokenState) -> np.ndarray:
    """(N, C) kept tokens, int32 or float32."""
    kept, channels = int(np.count_nonzero(mask)), state.channels
    width = 4 if state.lossless else 2
    if layout != int(state.lossless):
        raise UnsupportedFileError(f"{WHAT}: layout {layout} is not known: use a newer latcomp")
    size = kept * channels * width
    raw = np.frombuffer(decompress(data, size, WHAT, exactly=size), np.uint8)
    if raw.size != size:
        raise DamagedFileError(WHAT)
    joined = np.ascontiguousarray(raw.reshape(width, -1).T).reshape(-1)
    if state.lossless:
        return np.ascontiguousarray(joined.view(np.float32).reshape(channels, kept).T)
    return np.ascontiguousarray(joined.view(np.int16).reshape(channels, kept).T.astype(np.int32))
