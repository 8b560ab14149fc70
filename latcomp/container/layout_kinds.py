"""Layouts of planes for tokens in units: their kinds, and whole multiples of their own steps by channel, for zstd alone
to compress.
"""

from __future__ import annotations

import numpy as np

from latcomp.container.format import SYMBOL_MAX, SYMBOL_MIN
from latcomp.container.layout_planes import join_bytes, planes_of_symbols
from latcomp.container.layout_prior import PriorState, kinds_of
from latcomp.container.zstd import compress, decompress
from latcomp.errors import DamagedFileError

WHAT = "tokens"


def encode_kinds(
    tokens: np.ndarray, octaves: np.ndarray, mask: np.ndarray, state: PriorState, units: int
) -> tuple[bytes, bytes | None]:
    """Two zstd frames for tokens (N, C) with octaves (N,) at the kept positions of mask (T, P): values themselves, and
    changes of tokens that go on from their last kept value, None where a change passes 16 bits; no bytes for no tokens.
    `state` moves on."""
    kinds = np.empty(len(tokens), np.uint8)
    themselves, changed = np.empty_like(tokens), np.empty_like(tokens)
    row = 0
    for frame in mask:
        places = np.flatnonzero(frame)
        rows = slice(row, row + len(places))
        row += len(places)
        values, finer, kept = tokens[rows], octaves[rows], state.kept[places]
        kind = kinds[rows] = kinds_of(values, finer, kept, state.octaves[places], state.first, units)
        shift = _shift(kind, units)
        themselves[rows] = values >> shift
        changed[rows] = (values - np.where(kind[:, None] == 0, kept, 0)) >> shift
        state.move_on(places, values, finer)
    if not len(tokens):
        return b"", b""
    front = kinds.tobytes()
    fits = changed.min() >= SYMBOL_MIN and changed.max() <= SYMBOL_MAX
    return compress(front + planes_of_symbols(themselves)), compress(
        front + planes_of_symbols(changed)
    ) if fits else None


def decode_kinds(
    data: bytes | memoryview, mask: np.ndarray, state: PriorState, units: int, changed: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(tokens (N, C) int32, octaves (N,) uint8); `state` moves on.

    Raises `DamagedFileError` when the bytes do not give exactly these.
    """
    kept_count, channels = int(np.count_nonzero(mask)), state.kept.shape[1]
    if not kept_count and len(data):
        raise DamagedFileError(f"{WHAT}: bytes where none belong")
    content = decompress(data, kept_count * (1 + 2 * channels), WHAT) if kept_count else b""
    size = len(content) - kept_count
    if size not in (kept_count * channels, 2 * kept_count * channels):
        raise DamagedFileError(f"{WHAT}: {len(content)} bytes for {kept_count} x {channels} symbols and kinds")
    kinds = np.frombuffer(content, np.uint8, kept_count)
    if kept_count and kinds.max() > units.bit_length():
        raise DamagedFileError(f"{WHAT}: a step is halved too often")
    dtype = np.dtype("<i1" if size == kept_count * channels else "<i2")
    multiples = join_bytes(content[kept_count:], kept_count, channels, dtype).astype(np.int32)
    tokens, octaves = np.empty((kept_count, channels), np.int32), np.empty(kept_count, np.uint8)
    row = 0
    for frame in mask:
        places = np.flatnonzero(frame)
        rows = slice(row, row + len(places))
        row += len(places)
        kind, kept = kinds[rows], state.kept[places]
        values = multiples[rows] << _shift(kind, units)
        goes_on = kind[:, None] == 0
        values = values + np.where(goes_on, kept if changed else kept % units, 0)
        if values.size and (values.min() < SYMBOL_MIN or values.max() > SYMBOL_MAX):
            raise DamagedFileError(f"{WHAT}: a symbol passes 16 bits")
        tokens[rows] = values
        octaves[rows] = np.where(kind == 0, state.octaves[places], kind - 1)
        state.move_on(places, tokens[rows], octaves[rows])
    return tokens, octaves


def _shift(kinds: np.ndarray, units: int) -> np.ndarray:
    """(n, 1) int32: log2 of the units in a step of each token's own."""
    return (units.bit_length() - 1 - np.maximum(kinds.astype(np.int32) - 1, 0))[:, None]
