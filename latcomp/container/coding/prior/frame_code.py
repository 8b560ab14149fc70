"""A latent frame under the prior as symbols in coding tables: what is left to do is the range coder's work.

While an encoder selects, rounding by cost goes through the same passes of the network as writing would; what it finds
is kept as a `FrameCode`, so that the network runs once.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

import numpy as np

from latcomp.container.coding.prior.frame_coder import FrameCoder, FramePass
from latcomp.container.coding.prior.masks import MaskField
from latcomp.container.coding.prior.modes import ModeField, modes_of
from latcomp.container.coding.prior.neighbourhood import Neighbourhood
from latcomp.container.coding.prior.network import ESCAPES, REACH, Past, Prior
from latcomp.container.coding.prior.tables import TableDecoder, TableEncoder
from latcomp.errors import DamagedFileError
from latcomp.latents import FrameView, TokenMemory


@dataclass(frozen=True)
class TableSymbols:
    """Symbols that one call of the range coder takes."""

    symbols: np.ndarray
    """uint8 (n,): no table has more."""
    contexts: np.ndarray
    """uint8 (n,): the table of each."""
    escapes: np.ndarray | None = None
    """int32 (k,): distances of those values that no table reaches, 0 to `ESCAPES` - 1."""


@dataclass(frozen=True)
class FrameCode:
    """One latent frame in coding order."""

    mask: tuple[TableSymbols, ...]
    """Of its keep mask; empty where it starts a segment, which keeps all."""
    modes: tuple[TableSymbols, ...]
    values: tuple[TableSymbols, ...]
    stands_for: bytes | None = None
    """The digest of `SegmentDigest` behind the latent frame; None where it is written at once."""

    def put_mask(self, coder: TableEncoder, prior: Prior) -> None:
        """Append the bits of the keep mask."""
        for part in self.mask:
            coder.put(part.symbols, part.contexts, prior.mask_tables)

    def put_tokens(self, coder: TableEncoder, prior: Prior) -> None:
        """Append modes and values of the kept tokens."""
        for part in self.modes:
            coder.put(part.symbols, part.contexts, prior.mode_tables)
        for part in self.values:
            coder.put(part.symbols, part.contexts, prior.value_tables)
            if part.escapes is not None:
                coder.put_wide(part.escapes, ESCAPES)


class SegmentDigest:
    """What was coded of a segment so far, as one digest after each latent frame.

    A code is good for the very tokens, steps and past that it was found for. Who finds it and who writes it follow the
    segment alike, and where their digests differ, as for a group that was changed in between, it is found anew."""

    def __init__(self, prior: Prior, units: int) -> None:
        self._start = blake2b(f"{prior.sha256} {prior.fingerprint} {units}".encode(), digest_size=16).digest()
        self._last = self._start

    def begin(self) -> None:
        """A segment starts."""
        self._last = self._start

    def follow(
        self, view: FrameView, mask: np.ndarray, symbols: np.ndarray, halvings: np.ndarray, log_step: int
    ) -> bytes:
        """The digest with one more latent frame: what it shows, mask (P,) bool, symbols (n, C), halvings (n,) of its
        kept tokens.
        """
        box = view.box
        place = (box.top, box.left, box.rows, box.columns)
        found = blake2b(b"%s %d %d %d %d %d" % (self._last, log_step, *place), digest_size=16)
        if not view.full:
            found.update(view.visible.tobytes())
        for values, dtype in ((mask, np.bool_), (symbols, np.int32), (halvings, np.uint8)):
            found.update(np.ascontiguousarray(values, dtype).reshape(-1).data)
        self._last = found.digest()
        return self._last


class Decision(Protocol):
    """Chooses the whole steps of a pass's values."""

    def __call__(self, one: FramePass) -> np.ndarray:
        """int32 (m,): the steps."""
        ...


def past_of(prior: Prior, memory: TokenMemory) -> Past:
    """What the prior makes of a segment's memory; the same for mask and tokens of the next latent frame."""
    return prior.past(memory.predicted(), memory.change(), Neighbourhood.of(memory.view).around)


def code_frame(
    prior: Prior,
    memory: TokenMemory,
    mask: np.ndarray,
    symbols: np.ndarray,
    halvings: np.ndarray,
    log_step: int,
    units: int,
    decide: Decision | None = None,
    with_mask: bool = True,
) -> tuple[np.ndarray, FrameCode]:
    """((n, C) symbols, code) of a latent frame's kept tokens; `memory` stands before it and stays there.

    mask: (P,) bool; symbols: (n, C) int32, halvings: (n,) uint8 of the kept tokens; decide: chooses other steps than
    those of `symbols`, value by value; with_mask: whether the mask's bits are wanted. Raises `UsageError` when a token
    is no whole number of its steps.
    """
    places = np.flatnonzero(mask)
    past = past_of(prior, memory) if len(places) or (with_mask and not memory.first) else None
    bits: list[TableSymbols] = []
    if with_mask and not memory.first and past is not None:
        field = MaskField(prior, memory, past, log_step)
        for where, classes in field.steps():
            bits.append(TableSymbols(mask[where].astype(np.uint8), classes))
            field.put(where, mask[where])
    if not len(places) or past is None:
        return symbols, FrameCode(tuple(bits), (), ())
    modes = modes_of(symbols, halvings, memory, places, units)
    coded_modes: list[TableSymbols] = []
    mode_field = ModeField(memory, mask)
    for rows, contexts in mode_field.steps():
        coded_modes.append(TableSymbols(modes[rows], contexts))
        mode_field.put(rows, modes[rows])
    values: list[TableSymbols] = []
    coder = FrameCoder(prior, memory, past, mask, modes, log_step, units)
    for one in coder.passes():
        steps = one.steps_of(symbols) if decide is None else decide(one)
        found, off, far = one.table_symbols(steps)
        values.append(
            TableSymbols(found.astype(np.uint8), one.contexts, off[far] + ESCAPES // 2 if far.any() else None)
        )
        one.put(steps)
    found_symbols = coder.symbols()
    if decide is not None and not np.array_equal(modes, modes_of(found_symbols, halvings, memory, places, units)):
        # a token that stood on its own grid has come to lie whole steps from its prediction: it is coded as a delta
        return code_frame(prior, memory, mask, found_symbols, halvings, log_step, units, with_mask=with_mask)
    return found_symbols, FrameCode(tuple(bits), tuple(coded_modes), tuple(values))


def decode_tokens(
    prior: Prior,
    memory: TokenMemory,
    past: Past | None,
    mask: np.ndarray,
    coder: TableDecoder,
    log_step: int,
    units: int,
) -> tuple[np.ndarray, np.ndarray]:
    """((n, C) int32 symbols, (n,) uint8 halvings) of the kept tokens of mask (P,); `memory` stands before it and stays
    there.

    past: of `past_of`, where it was found already. Raises `DamagedFileError` when the bytes do not give exactly these.
    """
    places = np.flatnonzero(mask)
    if not len(places):
        return np.zeros((0, prior.channels), np.int32), np.zeros(0, np.uint8)
    coder.require(len(places) * prior.least_bits_of_token)  # before anything is made for them
    modes = ModeField(memory, mask).decode(coder, prior.mode_tables)
    halvings = np.where(modes == 0, memory.halvings[places], modes - 1).astype(np.uint8)
    if halvings.max() > units.bit_length() - 1:
        raise DamagedFileError("a step is halved too often")
    past = past_of(prior, memory) if past is None else past
    frame = FrameCoder(prior, memory, past, mask, modes, log_step, units)
    for one in frame.passes():
        one.put(_decode_steps(coder, prior, one))
    return frame.symbols(), halvings


def _decode_steps(coder: TableDecoder, prior: Prior, one: FramePass) -> np.ndarray:
    """int32 (m,): whole steps of one pass."""
    most = REACH[one.scale]
    off = coder.take(one.contexts, prior.value_tables)
    far = off == 2 * most + 1
    off -= most
    off[far] = coder.take_wide(int(np.count_nonzero(far)), ESCAPES) - ESCAPES // 2
    np.negative(off, out=off, where=one.fraction < 0)
    found: np.ndarray = off + one.nearest
    return found
