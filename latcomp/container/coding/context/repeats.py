"""Layout `repeats`: a mask of the tokens that differ from the last kept value of their position, and only these in
layout `context`.
"""

from __future__ import annotations

import struct

import numpy as np

from latcomp.container.coding.context.tokens import Model, decode_context, encode_context
from latcomp.container.coding.masks import MaskState, decode_mask, encode_mask
from latcomp.errors import DamagedFileError
from latcomp.latents import GroupView, TokenMemory, frames_of_tokens

WHAT = "tokens"
HEAD = struct.Struct("<BI")  # coding id and length of the mask of changed tokens


def changed_tokens(symbols: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(N,) bool: which tokens (N, C) differ from `before`, the last kept value of their position."""
    found: np.ndarray = (symbols != before).any(axis=1)
    return found


def encode_repeats(
    symbols: np.ndarray,
    changed: np.ndarray,
    mask: np.ndarray,
    view: GroupView,
    memory: TokenMemory,
    before: Model | None,
) -> tuple[bytes, Model | None]:
    """(bytes, model to go on with). changed: (N,) bool of `changed_tokens`; mask: (T, h, w); memory: of the segment,
    unchanged.
    """
    stored = mask.copy()
    stored[mask] = changed
    coding, packed = encode_mask(stored, view, MaskState(view.frames[0], all_stored=True))
    model, tokens = before, b""
    if changed.any():
        tokens, model = encode_context(symbols[changed], stored, view, memory, before)
    return HEAD.pack(coding, len(packed)) + packed + tokens, model


def decode_repeats(
    data: bytes | memoryview, mask: np.ndarray, view: GroupView, memory: TokenMemory, before: Model | None
) -> tuple[np.ndarray, Model | None]:
    """((N, C) int32 symbols, model to go on with); `memory` moves on. Raises `DamagedFileError` when the bytes do not
    give exactly these.
    """
    if len(data) < HEAD.size:
        raise DamagedFileError(f"{WHAT}: {len(data)} bytes are too few")
    coding, length = HEAD.unpack_from(data)
    tokens_from = HEAD.size + length
    if tokens_from > len(data):
        raise DamagedFileError(f"{WHAT}: a mask of {length} bytes in {len(data)}")
    stored = decode_mask(coding, data[HEAD.size : tokens_from], view, MaskState(view.frames[0], all_stored=True))
    if (stored & ~mask).any():
        raise DamagedFileError(f"{WHAT}: changed tokens where none are kept")
    model, changed = before, np.zeros((0, memory.kept.shape[1]), np.int32)
    if stored.any():
        changed, model = decode_context(data[tokens_from:], stored, view, memory.copy(), before)
    elif tokens_from < len(data):
        raise DamagedFileError(f"{WHAT}: bytes where none belong")
    found = []
    for new in frames_of_tokens(stored, view):
        memory.look(new.view)
        values = memory.predicted().copy()
        values[new.places] = changed[new.rows]
        places = np.flatnonzero(view.take(mask, new.t))
        found.append(values[places])
        memory.advance(places, found[-1])
    return np.concatenate(found), model
