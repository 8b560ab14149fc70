"""Kept tokens to bytes and back: the choice of a layout for each group."""

from __future__ import annotations

import numpy as np

from latcomp.container.format import (
    LAYOUT_CONTEXT,
    LAYOUT_FLOAT_CHANGES,
    LAYOUT_FLOATS,
    LAYOUT_KIND_CHANGES,
    LAYOUT_KINDS,
    LAYOUT_PLANES,
    LAYOUT_PRIOR,
    LAYOUT_REPEATS,
    SYMBOL_MAX,
    SYMBOL_MIN,
)
from latcomp.container.layout_context import Model, decode_context, encode_context
from latcomp.container.layout_kinds import decode_kinds, encode_kinds
from latcomp.container.layout_planes import changes, join_bytes, planes_of_symbols, split_bytes, symbols_of_planes
from latcomp.container.layout_prior import decode_prior, encode_prior
from latcomp.container.layout_repeats import changed_tokens, decode_repeats, encode_repeats
from latcomp.container.segment import BITS, SegmentState
from latcomp.container.zstd import QUICK_LEVEL, compress, decompress
from latcomp.errors import DamagedFileError, LimitError, UnsupportedFileError

WHAT = "tokens"
FLOAT_LEVEL = 6  # mantissas are noise: higher levels take minutes and save nothing
PLANES_CHANCE = 1.35  # planes under the quick level may be so much larger and still win at the highest
REPEATS_SHARE = 0.02  # share of tokens that repeat their last kept value from which it pays to leave them out


def check_symbols(tokens: np.ndarray) -> None:
    """Raise `LimitError` when a symbol does not fit 16 bits."""
    if tokens.size and (tokens.min() < SYMBOL_MIN or tokens.max() > SYMBOL_MAX):
        raise LimitError(f"symbols from {tokens.min()} to {tokens.max()} pass 16 bits: choose a lower quality")


def encode_tokens(
    tokens: np.ndarray, octaves: np.ndarray | None, mask: np.ndarray, key: bool, state: SegmentState, step_adjust: int
) -> tuple[int, bytes]:
    """(layout id, bytes) of kept tokens (N, C) with octaves (N,) at the positions of mask (T, h, w); `state` moves on.

    Raises `LimitError` when a symbol does not fit 16 bits, `UsageError` when a token is no whole number of its steps.
    """
    flat = mask.reshape(len(mask), -1)
    if state.lossless:
        return _encode_floats(tokens, flat, state)
    check_symbols(tokens)
    if state.by_prior is not None and state.prior is not None:
        finer = np.zeros(len(tokens), np.uint8) if octaves is None else octaves
        if state.coding == "context":
            return LAYOUT_PRIOR, encode_prior(
                tokens, finer, flat, state.by_prior, state.prior, state.log_step(step_adjust), state.units
            )
        themselves, differences = encode_kinds(tokens, finer, flat, state.by_prior, state.units)
        if differences is not None and len(differences) < len(themselves):
            return LAYOUT_KIND_CHANGES, differences
        return LAYOUT_KINDS, themselves
    if not tokens.size:
        return LAYOUT_PLANES, b""
    model: Model | None
    best, model = encode_context(tokens, flat, key, state.last, state.passes, state.model)
    layout = LAYOUT_CONTEXT
    changed = changed_tokens(tokens, changes(tokens, flat, state.last.copy()))
    if np.count_nonzero(~changed) > REPEATS_SHARE * len(changed):
        shorter, other = encode_repeats(tokens, changed, mask, key, state.last, state.passes, state.model)
        if len(shorter) < len(best):
            best, layout, model = shorter, LAYOUT_REPEATS, other
    planes = planes_of_symbols(tokens)
    if len(compress(planes, QUICK_LEVEL)) < len(best) * PLANES_CHANCE:
        packed = compress(planes)
        if len(packed) < len(best):
            best, layout = packed, LAYOUT_PLANES
    if layout != LAYOUT_PLANES:
        state.model = model
    changes(tokens, flat, state.last)
    return layout, best


def decode_tokens(
    layout: int, data: bytes | memoryview, mask: np.ndarray, key: bool, state: SegmentState, step_adjust: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """((N, C) kept tokens, int32 symbols or float32 latents; (N,) octaves, None in files without a prior); `state`
    moves on.

    Raises `DamagedFileError` when the bytes do not give exactly these, `UnsupportedFileError` for a layout that is not
    known."""
    flat = mask.reshape(len(mask), -1)
    kept = int(np.count_nonzero(flat))
    if state.lossless:
        known: tuple[int, ...] = (LAYOUT_FLOATS, LAYOUT_FLOAT_CHANGES)
    elif state.prior is not None:
        known = (LAYOUT_PRIOR, LAYOUT_KINDS, LAYOUT_KIND_CHANGES)
    else:
        known = (LAYOUT_PLANES, LAYOUT_CONTEXT, LAYOUT_REPEATS)
    if layout not in known:
        raise UnsupportedFileError(f"{WHAT}: layout {layout} is not known: use a newer latcomp")
    if state.by_prior is not None and state.prior is not None:
        if layout == LAYOUT_PRIOR:
            return decode_prior(data, flat, state.by_prior, state.prior, state.log_step(step_adjust), state.units)
        return decode_kinds(data, flat, state.by_prior, state.units, layout == LAYOUT_KIND_CHANGES)
    return _decode_plain(layout, data, mask, flat, kept, key, state), None


def _decode_plain(
    layout: int, data: bytes | memoryview, mask: np.ndarray, flat: np.ndarray, kept: int, key: bool, state: SegmentState
) -> np.ndarray:
    if not kept:
        if len(data):
            raise DamagedFileError(f"{WHAT}: bytes where none belong")
        return np.zeros((0, state.channels), np.float32 if state.lossless else np.int32)
    if state.lossless:
        return _decode_floats(layout, data, flat, kept, state)
    if layout == LAYOUT_CONTEXT:
        symbols, state.model = decode_context(data, flat, key, state.last, state.passes, state.model)
        return symbols
    if layout == LAYOUT_REPEATS:
        symbols, state.model = decode_repeats(data, mask, key, state.last, state.passes, state.model)
        return symbols
    symbols = symbols_of_planes(data, kept, state.channels)
    changes(symbols, flat, state.last)
    return symbols


def _encode_floats(tokens: np.ndarray, mask: np.ndarray, state: SegmentState) -> tuple[int, bytes]:
    """The smaller of the bits themselves and their XOR with the last kept ones, both as planes."""
    if not tokens.size:
        return LAYOUT_FLOATS, b""
    bits = np.ascontiguousarray(tokens, "<f4").view(BITS)
    before = changes(bits, mask, state.last)
    tried = [
        (LAYOUT_FLOATS, compress(split_bytes(bits), FLOAT_LEVEL)),
        (LAYOUT_FLOAT_CHANGES, compress(split_bytes(bits ^ before), FLOAT_LEVEL)),
    ]
    return min(tried, key=lambda found: len(found[1]))


def _decode_floats(
    layout: int, data: bytes | memoryview, mask: np.ndarray, kept: int, state: SegmentState
) -> np.ndarray:
    size = kept * state.channels * BITS.itemsize
    bits = join_bytes(decompress(data, size, WHAT, exactly=size), kept, state.channels, BITS)
    if layout == LAYOUT_FLOATS:
        changes(bits, mask, state.last)
    else:
        row = 0
        for frame in mask:
            places = np.flatnonzero(frame)
            bits[row : row + len(places)] ^= state.last[places]
            state.last[places] = bits[row : row + len(places)]
            row += len(places)
    return bits.view("<f4").astype(np.float32, copy=False)
