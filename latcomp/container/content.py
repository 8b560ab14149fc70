"""Keep mask and tokens of a group as two byte strings: one after the other, or in step where masks are coded under the
prior.
"""

from __future__ import annotations

import numpy as np

from latcomp.container.format import LAYOUT_PRIOR, MASK_PRIOR
from latcomp.container.layout_prior import decode_prior, encode_prior
from latcomp.container.mask_prior import decode_along, encode_along
from latcomp.container.masks import decode_mask, encode_mask
from latcomp.container.segment import SegmentState
from latcomp.container.tables import TableDecoder, TableEncoder
from latcomp.container.tokens import check_symbols, decode_tokens, encode_tokens
from latcomp.errors import DamagedFileError, UnsupportedFileError


def encode_content(
    mask: np.ndarray, tokens: np.ndarray, octaves: np.ndarray | None, key: bool, state: SegmentState, step_adjust: int
) -> tuple[int, bytes, int, bytes]:
    """(mask coding id, its bytes, token layout id, its bytes) of a keep mask (T, h, w) bool and its tokens (N, C) with
    octaves (N,).

    `state` moves on. Raises what `encode_tokens` raises.
    """
    if state.prior is not None and state.by_prior is not None and state.coding == "context" and not mask.all():
        check_symbols(tokens)
        finer = np.zeros(len(tokens), np.uint8) if octaves is None else octaves
        past, prior, log_step = state.by_prior, state.prior, state.log_step(step_adjust)
        coder = TableEncoder()
        along = encode_along(mask.reshape(len(mask), -1), past, prior, log_step, coder)
        packed = encode_prior(tokens, finer, along, past, prior, log_step, state.units)
        found = MASK_PRIOR, coder.finish(), LAYOUT_PRIOR, packed
    else:
        found = (
            *encode_mask(mask, key, state.passes, state.masks),
            *encode_tokens(tokens, octaves, mask, key, state, step_adjust),
        )
    state.masks.move_on(mask, key)
    return found


def decode_content(
    coding: int,
    mask_data: bytes | memoryview,
    layout: int,
    token_data: bytes | memoryview,
    shape: tuple[int, int, int],
    kept: int,
    key: bool,
    state: SegmentState,
    step_adjust: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """(keep mask (T, h, w) of that shape, tokens (N, C), octaves (N,) or None in files without a prior); `state` moves
    on.

    kept: N as it is claimed. Raises `DamagedFileError` when the bytes do not give exactly these, `UnsupportedFileError`
    for a coding or layout that is not known."""
    mask: np.ndarray
    octaves: np.ndarray | None
    if coding == MASK_PRIOR and state.prior is not None and state.by_prior is not None:
        if layout != LAYOUT_PRIOR:
            raise UnsupportedFileError(
                f"tokens: layout {layout} beside mask coding {coding} is not known: use a newer latcomp"
            )
        mask = np.ones(shape, bool)
        past, prior, log_step = state.by_prior, state.prior, state.log_step(step_adjust)
        coder = TableDecoder(mask_data)
        along = decode_along(mask.reshape(len(mask), -1), kept, past, prior, log_step, coder)
        tokens, octaves = decode_prior(token_data, along, past, prior, log_step, state.units)
        coder.check_end()
    else:
        mask = decode_mask(coding, mask_data, shape, key, state.passes, state.masks)
        _check_count(mask, kept)
        tokens, octaves = decode_tokens(layout, token_data, mask, key, state, step_adjust)
    _check_count(mask, kept)
    state.masks.move_on(mask, key)
    return mask, tokens, octaves


def _check_count(mask: np.ndarray, kept: int) -> None:
    found = int(np.count_nonzero(mask))
    if found != kept:
        raise DamagedFileError(f"the keep mask has {found} positions, {kept} tokens are claimed")
