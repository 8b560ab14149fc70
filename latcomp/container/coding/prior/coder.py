"""The `GroupCoder` of files with a prior: masks and tokens by the range coder, in step, or as planes under zstd."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from latcomp.container.coding.group_coder import GroupBytes, GroupContent, GroupShape, check_count, check_symbols
from latcomp.container.coding.masks import PlainMasks
from latcomp.container.coding.prior.frame_code import (
    Decision,
    FrameCode,
    SegmentDigest,
    code_frame,
    decode_tokens,
    past_of,
)
from latcomp.container.coding.prior.masks import MaskField
from latcomp.container.coding.prior.network import Past, Prior
from latcomp.container.coding.prior.planes import decode_planes, encode_planes
from latcomp.container.coding.prior.tables import TableDecoder, TableEncoder
from latcomp.container.format import LAYOUT_MODE_CHANGES, LAYOUT_MODES, LAYOUT_PRIOR, MASK_PRIOR
from latcomp.errors import DamagedFileError, UnsupportedFileError
from latcomp.latents import StepScale, TokenMemory, frames_of_tokens

WHAT = "tokens"


class PriorCoder:
    """Codes the groups of one segment."""

    def __init__(self, prior: Prior, grid: tuple[int, int], units: int, planes_alone: bool = False) -> None:
        """grid: (rows, columns) of positions; units: of a step; planes_alone: whether a writer does without the prior's
        means.
        """
        self.prior, self.units = prior, units
        self.masks = PlainMasks(grid)
        self.memory = TokenMemory.start(grid, prior.channels)
        self._digest = SegmentDigest(prior, units)
        self._planes_alone = planes_alone

    def encode(self, group: GroupContent) -> GroupBytes:
        """See `GroupCoder.encode`."""
        check_symbols(group.tokens)
        halvings = np.zeros(len(group.tokens), np.uint8) if group.halvings is None else group.halvings
        if self._planes_alone:
            mask = self.masks.encode(group.mask, group.view)
            return GroupBytes(*mask, *self._planes(group, halvings))
        with_mask = not group.keeps_all
        bits, tokens = TableEncoder(), TableEncoder()
        for frame in frames_of_tokens(group.mask, group.view):
            self.memory.look(frame.view)
            code = self._code(group, halvings, frame.t, frame.mask, frame.rows, with_mask)
            if with_mask:
                code.put_mask(bits, self.prior)
            code.put_tokens(tokens, self.prior)
            self.memory.advance(frame.places, group.tokens[frame.rows], halvings[frame.rows])
        if not with_mask:
            return GroupBytes(*self.masks.encode(group.mask, group.view), LAYOUT_PRIOR, tokens.finish())
        self.masks.advance(group.mask, group.view)
        return GroupBytes(MASK_PRIOR, bits.finish(), LAYOUT_PRIOR, tokens.finish())

    def _code(
        self, group: GroupContent, halvings: np.ndarray, t: int, mask: np.ndarray, rows: slice, with_mask: bool
    ) -> FrameCode:
        """A latent frame's code: the one that was found while it was selected, where it is of these tokens in this
        segment, or else found now.
        """
        log_step = group.scale.log_step
        tokens, steps = group.tokens[rows], halvings[rows]
        digest = self._digest.follow(self.memory.view, mask, tokens, steps, log_step)
        if group.coded is not None and t < len(group.coded) and group.coded[t].stands_for == digest:
            found: FrameCode = group.coded[t]
            return found
        return code_frame(self.prior, self.memory, mask, tokens, steps, log_step, self.units, with_mask=with_mask)[1]

    def _planes(self, group: GroupContent, halvings: np.ndarray) -> tuple[int, bytes]:
        themselves, changed = encode_planes(group.tokens, halvings, group.mask, group.view, self.memory, self.units)
        if changed is not None and len(changed) < len(themselves):
            return LAYOUT_MODE_CHANGES, changed
        return LAYOUT_MODES, themselves

    def decode(self, data: GroupBytes, shape: GroupShape) -> GroupContent:
        """See `GroupCoder.decode`."""
        if data.mask_coding == MASK_PRIOR:
            if data.token_layout != LAYOUT_PRIOR:
                raise UnsupportedFileError(
                    f"tokens: layout {data.token_layout} beside mask coding {data.mask_coding} is not known: use a "
                    "newer latcomp"
                )
            mask = np.zeros(shape.view.shape, bool)
            tokens, halvings = self._in_step(data, mask, shape)
        else:
            mask = self.masks.decode(data, shape)
            check_count(mask, shape.kept)
            tokens, halvings = self._tokens(data, mask, shape)
        check_count(mask, shape.kept)
        self.masks.advance(mask, shape.view)
        return GroupContent(mask, tokens, halvings, shape.key, shape.scale, shape.view)

    def _tokens(self, data: GroupBytes, mask: np.ndarray, shape: GroupShape) -> tuple[np.ndarray, np.ndarray]:
        """(tokens (N, C), halvings (N,)) under a mask (T, h, w) that is known."""
        layout = data.token_layout
        if layout in (LAYOUT_MODES, LAYOUT_MODE_CHANGES):
            return decode_planes(data.tokens, mask, shape.view, self.memory, self.units, layout == LAYOUT_MODE_CHANGES)
        if layout != LAYOUT_PRIOR:
            raise UnsupportedFileError(f"{WHAT}: layout {layout} is not known: use a newer latcomp")
        coder = TableDecoder(data.tokens)
        tokens, halvings = [], []
        for frame in frames_of_tokens(mask, shape.view):
            self.memory.look(frame.view)
            found, steps = self._frame(coder, None, frame.mask, shape.scale)
            tokens.append(found)
            halvings.append(steps)
        coder.check_end()
        return np.concatenate(tokens), np.concatenate(halvings)

    def _in_step(self, data: GroupBytes, mask: np.ndarray, shape: GroupShape) -> tuple[np.ndarray, np.ndarray]:
        """(tokens (N, C), halvings (N,)); each latent frame's mask is read into `mask` (T, h, w) before its tokens."""
        bits, coder = TableDecoder(data.mask), TableDecoder(data.tokens)
        left = shape.kept
        tokens, halvings = [], []
        for t, view in enumerate(shape.view.frames):
            self.memory.look(view)
            past, frame = None, np.ones(view.count, bool)
            if not self.memory.first:
                past = past_of(self.prior, self.memory)
                try:
                    field = MaskField(self.prior, self.memory, past, shape.scale.log_step)
                    frame = field.decode(bits)
                except DamagedFileError as error:
                    raise DamagedFileError(f"keep mask: {error}") from None
            shape.view.put(mask, t, frame)
            left -= int(np.count_nonzero(frame))
            if left < 0:
                raise DamagedFileError("the keep mask has more positions than tokens are claimed")
            found, steps = self._frame(coder, past, frame, shape.scale)
            tokens.append(found)
            halvings.append(steps)
        coder.check_end()
        bits.check_end()
        return np.concatenate(tokens), np.concatenate(halvings)

    def _frame(
        self, coder: TableDecoder, past: Past | None, mask: np.ndarray, scale: StepScale
    ) -> tuple[np.ndarray, np.ndarray]:
        """(tokens (n, C), halvings (n,)) of the next latent frame, which the memory takes over."""
        found, steps = decode_tokens(self.prior, self.memory, past, mask, coder, scale.log_step, self.units)
        self.memory.advance(np.flatnonzero(mask), found, steps)
        return found, steps


class FrameCosts:
    """Codes the latent frames of one segment in order, while they are selected: what `latcomp.selection.rdo` decides is
    rounded by. One that is coded out of order is coded again when it is written.
    """

    def __init__(self, prior: Prior, units: int, scale: StepScale) -> None:
        """units: of a step; scale: of the segment."""
        self.prior, self.units, self.scale = prior, units, scale
        self._digest = SegmentDigest(prior, units)

    def code(
        self, memory: TokenMemory, mask: np.ndarray, symbols: np.ndarray, halvings: np.ndarray, decide: Decision
    ) -> tuple[np.ndarray, FrameCode]:
        """((n, C) symbols as `decide` leaves them, their code). memory: as it stands before the latent frame; mask:
        (P,) bool; symbols: (n, C) int32, plainly rounded; halvings: uint8 (n,)."""
        log_step = self.scale.log_step
        found, code = code_frame(self.prior, memory, mask, symbols, halvings, log_step, self.units, decide)
        if memory.first:
            self._digest.begin()
        return found, replace(code, stands_for=self._digest.follow(memory.view, mask, found, halvings, log_step))
