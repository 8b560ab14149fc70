"""Layouts of planes for tokens in units: their modes, and whole steps of their own by channel, for zstd alone to
compress.
"""

from __future__ import annotations

import numpy as np

from latcomp.container.coding.planes import join_bytes, planes_of_symbols
from latcomp.container.coding.prior.modes import modes_of
from latcomp.container.zstd import compress, decompress
from latcomp.errors import DamagedFileError
from latcomp.latents import SYMBOL_MAX, SYMBOL_MIN, GroupView, TokenMemory, frames_of_tokens

WHAT = "tokens"


def encode_planes(
    tokens: np.ndarray, halvings: np.ndarray, mask: np.ndarray, view: GroupView, memory: TokenMemory, units: int
) -> tuple[bytes, bytes | None]:
    """Two zstd frames for tokens (N, C) with halvings (N,) at the kept positions of mask (T, h, w): values themselves,
    and changes of tokens that are deltas to their last kept value, None where a change passes 16 bits; no bytes for no
    tokens. `memory` moves on."""
    modes = np.empty(len(tokens), np.uint8)
    themselves, changed = np.empty_like(tokens), np.empty_like(tokens)
    for frame in frames_of_tokens(mask, view):
        memory.look(frame.view)
        rows, places = frame.rows, frame.places
        values, finer, kept = tokens[rows], halvings[rows], memory.predicted()[places]
        mode = modes[rows] = modes_of(values, finer, memory, places, units)
        shift = _shift(mode, units)
        themselves[rows] = values >> shift
        changed[rows] = (values - np.where(mode[:, None] == 0, kept, 0)) >> shift
        memory.advance(places, values, finer)
    if not len(tokens):
        return b"", b""
    front = modes.tobytes()
    plain = compress(front + planes_of_symbols(themselves))
    if changed.min() < SYMBOL_MIN or changed.max() > SYMBOL_MAX:
        return plain, None
    return plain, compress(front + planes_of_symbols(changed))


def decode_planes(
    data: bytes | memoryview, mask: np.ndarray, view: GroupView, memory: TokenMemory, units: int, changed: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(tokens (N, C) int32, halvings (N,) uint8); `memory` moves on. changed: whether deltas are stored as changes.

    Raises `DamagedFileError` when the bytes do not give exactly these.
    """
    kept_count, channels = int(np.count_nonzero(mask)), memory.kept.shape[1]
    if not kept_count and len(data):
        raise DamagedFileError(f"{WHAT}: bytes where none belong")
    content = decompress(data, kept_count * (1 + 2 * channels), WHAT) if kept_count else b""
    size = len(content) - kept_count
    if size not in (kept_count * channels, 2 * kept_count * channels):
        raise DamagedFileError(f"{WHAT}: {len(content)} bytes for {kept_count} x {channels} symbols and modes")
    modes = np.frombuffer(content, np.uint8, kept_count)
    if kept_count and modes.max() > units.bit_length():
        raise DamagedFileError(f"{WHAT}: a step is halved too often")
    dtype = np.dtype("<i1" if size == kept_count * channels else "<i2")
    steps = join_bytes(content[kept_count:], kept_count, channels, dtype).astype(np.int32)
    tokens, halvings = np.empty((kept_count, channels), np.int32), np.empty(kept_count, np.uint8)
    for frame in frames_of_tokens(mask, view):
        memory.look(frame.view)
        rows, places = frame.rows, frame.places
        mode, kept = modes[rows], memory.predicted()[places]
        values = steps[rows] << _shift(mode, units)
        values += (kept if changed else kept & (units - 1)) * (mode == 0)[:, None]  # units: a power of two
        if values.size and (values.min() < SYMBOL_MIN or values.max() > SYMBOL_MAX):
            raise DamagedFileError(f"{WHAT}: a symbol passes 16 bits")
        tokens[rows] = values
        halvings[rows] = np.where(mode == 0, memory.halvings[places], mode - 1)
        memory.advance(places, tokens[rows], halvings[rows])
    return tokens, halvings


def _shift(modes: np.ndarray, units: int) -> np.ndarray:
    """(n, 1) int32: log2 of the units in a step of each token's own."""
    return (units.bit_length() - 1 - np.maximum(modes.astype(np.int32) - 1, 0))[:, None]
