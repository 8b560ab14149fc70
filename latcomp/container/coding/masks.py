"""Keep masks in few bytes: packed bits under zstd, as they are or as changes, or bits sorted by what their neighbours
make likely.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from latcomp.container.coding.group_coder import GroupBytes, GroupShape
from latcomp.container.coding.lattice import DIAGONAL, DIRECT, PassPositions, passes_of
from latcomp.container.coding.streams import decode_streams, encode_streams, read_table
from latcomp.container.format import MASK_ALL, MASK_BITS, MASK_CHANGES, MASK_CONTEXT
from latcomp.container.varint import VarintReader
from latcomp.container.zstd import compress, compress_parts, decompress
from latcomp.errors import DamagedFileError, UnsupportedFileError, UsageError
from latcomp.latents import FrameView, GroupView, TokenMemory

WHAT = "keep mask"
MASK_CLASSES = 22
SCORE_SHIFT = 1
NEAR_WEIGHT, LAST_WEIGHT = 24, 6
FIRST_PASS_START, FIRST_PASS_DIRECT, FIRST_PASS_DIAGONAL = 8, 3, 1
START, DIRECT_WEIGHT, DIAGONAL_WEIGHT = 4, 1, -1


class MaskState:
    """What a segment remembers of its masks: the two latent frames before, false where they showed nothing.

    A position that is shown for the first time is kept, which says nothing, and is remembered as false.
    """

    def __init__(self, grid: tuple[int, int] | FrameView, all_stored: bool = False) -> None:
        """grid: (rows, columns) of positions, or what the first latent frame shows; all_stored: whether the bits of
        positions that are shown for the first time are stored as well."""
        self._memory = TokenMemory.start(grid, 0)
        self._all_stored = all_stored
        self.last = np.zeros(self._memory.positions, bool)
        self.earlier = np.zeros(self._memory.positions, bool)

    @property
    def view(self) -> FrameView:
        """What the next latent frame shows."""
        return self._memory.view

    @property
    def stored(self) -> np.ndarray:
        """bool (P,): the positions of the next latent frame whose bits are stored."""
        return np.ones(len(self.last), bool) if self._all_stored else self._memory.seen

    def look(self, view: FrameView) -> None:
        """Turn to what the next latent frame shows."""
        if view is self.view:
            return
        at = self.view.number_at(*view.world)
        self.last, self.earlier = np.append(self.last, False)[at], np.append(self.earlier, False)[at]
        self._memory.look(view)

    def advance(self, mask: np.ndarray) -> None:
        """Remember the mask (P,) of a latent frame. Raises `UsageError` when it drops what is shown for the first time
        and is not stored."""
        if not (self._all_stored or (mask | self._memory.seen).all()):
            raise UsageError("a position that is shown for the first time must be kept")
        self.last, self.earlier = mask & self.stored, self.last
        places = np.flatnonzero(mask)
        self._memory.advance(places, np.zeros((len(places), 0), np.int32))

    def copy(self) -> MaskState:
        """A copy that later latent frames do not change."""
        found = MaskState(self.view, self._all_stored)
        found._memory, found.last, found.earlier = self._memory.copy(), self.last, self.earlier
        return found


@lru_cache(maxsize=3)  # without camera motion every segment of a file needs the same
def _around(view: FrameView) -> tuple[np.ndarray, np.ndarray]:
    """intp (4, P) twice: the places beside each position and those across its corners; P where one is not visible."""
    y, x = view.world
    direct, diagonal = (
        np.stack([view.number_at(y + down, x + right) for down, right in offsets]) for offsets in (DIRECT, DIAGONAL)
    )
    return direct, diagonal


class _Scores:
    """Classes of the positions of one latent frame, from the two before and what is known of this one."""

    def __init__(self, state: MaskState) -> None:
        last = np.append(state.last, False).astype(np.int32)
        # int32 (P,) each: how many of the neighbours were kept
        direct, diagonal = (last[places].sum(axis=0, dtype=np.int32) for places in _around(state.view))
        common = LAST_WEIGHT * last[:-1] + state.earlier
        self._first = common + FIRST_PASS_DIRECT * direct + FIRST_PASS_DIAGONAL * diagonal + FIRST_PASS_START
        self._later = common + DIRECT_WEIGHT * direct + DIAGONAL_WEIGHT * diagonal + START

    def classes(self, positions: PassPositions, some: np.ndarray, known: np.ndarray) -> np.ndarray:
        """uint8 (n,): classes of some (n,) of a pass's places. known: (P + 1,) int32 bits of this latent frame's
        earlier passes.
        """
        places = positions.places[some]
        if positions.number == 0:
            score = self._first[places]
        else:
            near = known[positions.neighbours[:, some]].sum(axis=0, dtype=np.int32) * positions.share[some, 0]
            score = self._later[places] + (near * NEAR_WEIGHT >> 6)
        found: np.ndarray = np.clip(score >> SCORE_SHIFT, 0, MASK_CLASSES - 1).astype(np.uint8)
        return found


@dataclass
class _Frame:
    """One latent frame of a group's keep mask."""

    bits: np.ndarray
    """bool (P,)."""
    before: MaskState
    """What is remembered before it."""
    begins: bool
    """Whether it is the group's first."""

    @property
    def changed_from(self) -> np.ndarray:
        """bool (P,): the bits of the latent frame before in its group; false where there is none."""
        return np.zeros_like(self.bits) if self.begins else self.before.last

    def passes(self) -> Iterator[tuple[PassPositions, np.ndarray]]:
        """The passes over it, each with which (n,) of its places are stored, where there are any."""
        stored = self.before.stored
        for positions in passes_of(self.before.view) if stored.any() else []:
            some = np.flatnonzero(stored[positions.places])
            if len(some):
                yield positions, some


def _frames(mask: np.ndarray, view: GroupView, state: MaskState) -> Iterator[_Frame]:
    """The latent frames of `mask` (T, h, w); what its user writes to their bits is written to it."""
    walking = state.copy()
    for t, here in enumerate(view.frames):
        walking.look(here)
        frame = _Frame(view.take(mask, t).copy(), walking, t == 0)
        yield frame
        view.put(mask, t, frame.bits)
        walking.advance(frame.bits)


def _encode_context(mask: np.ndarray, view: GroupView, state: MaskState) -> bytes:
    bits, classes = [np.zeros(0, np.int32)], [np.zeros(0, np.uint8)]
    for frame in _frames(mask, view, state):
        known, scores = np.append(frame.bits, False).astype(np.int32), _Scores(frame.before)
        for positions, some in frame.passes():
            bits.append(known[positions.places[some]])
            classes.append(scores.classes(positions, some, known))
    table, parts = encode_streams(np.concatenate(bits), np.concatenate(classes), MASK_CLASSES, bits=True)
    return compress_parts([table, *parts])


def _decode_context(data: bytes | memoryview, mask: np.ndarray, view: GroupView, state: MaskState) -> None:
    count = _stored_positions(view, state)
    content = decompress(data, count + 16 * MASK_CLASSES + 1, WHAT)
    numbers = VarintReader(content, "stream table")
    streams = read_table(numbers, count, MASK_CLASSES, bits=True)
    values = decode_streams(streams, np.frombuffer(content, np.uint8, offset=numbers.offset), bits=True)
    for frame in _frames(mask, view, state):
        # what is shown for the first time is known to be kept
        known, scores = np.append(~frame.before.stored, False).astype(np.int32), _Scores(frame.before)
        for positions, some in frame.passes():
            known[positions.places[some]] = values.take(scores.classes(positions, some, known))
        frame.bits[:] = known[:-1]
    values.check_all_taken()


def _stored_positions(view: GroupView, state: MaskState) -> int:
    """How many bits of a group are stored: that follows from what it shows alone."""
    walking, count = state.copy(), 0
    for here in view.frames:
        walking.look(here)
        count += int(np.count_nonzero(walking.stored))
        walking.advance(np.ones(here.count, bool))
    return count


def encode_mask(mask: np.ndarray, view: GroupView, state: MaskState) -> tuple[int, bytes]:
    """(coding id, bytes) of a keep mask (T, h, w) bool. What is shown for the first time is kept, and not stored.

    `state` is not changed: `MaskState.advance` does that.
    """
    if int(np.count_nonzero(mask)) == view.count:
        return MASK_ALL, b""
    bits, changes = [], []
    for frame in _frames(mask, view, state):
        stored = frame.before.stored
        bits.append(frame.bits[stored])
        changes.append((frame.bits ^ frame.changed_from)[stored])
    tried = [
        (MASK_CONTEXT, _encode_context(mask, view, state)),
        (MASK_BITS, compress(np.packbits(np.concatenate(bits)).tobytes())),
        (MASK_CHANGES, compress(np.packbits(np.concatenate(changes)).tobytes())),
    ]
    return min(tried, key=lambda pair: len(pair[1]))


def decode_mask(coding: int, data: bytes | memoryview, view: GroupView, state: MaskState) -> np.ndarray:
    """bool (T, h, w). Raises `DamagedFileError` when the bytes do not give exactly the bits that are stored."""
    mask = view.visible.copy()
    if coding == MASK_ALL:
        if len(data):
            raise DamagedFileError(f"{WHAT}: bytes where none belong")
        return mask
    if coding == MASK_CONTEXT:
        try:
            _decode_context(data, mask, view, state)
        except DamagedFileError as error:
            raise DamagedFileError(f"{WHAT}: {error}") from None
        return mask
    if coding not in (MASK_BITS, MASK_CHANGES):
        raise UnsupportedFileError(f"{WHAT}: coding {coding} is not known: use a newer latcomp")
    count = _stored_positions(view, state)
    packed = np.frombuffer(decompress(data, -(-count // 8), WHAT, exactly=-(-count // 8)), np.uint8)
    bits = np.unpackbits(packed).astype(bool)
    if bits[count:].any():
        raise DamagedFileError(f"{WHAT}: bits after the last position")
    taken = 0
    for frame in _frames(mask, view, state):
        stored = frame.before.stored
        here = bits[taken : taken + int(np.count_nonzero(stored))]
        taken += len(here)
        frame.bits[stored] = here ^ frame.changed_from[stored] if coding == MASK_CHANGES else here
    return mask


class PlainMasks:
    """The keep masks of a segment without a prior, and what is remembered of them."""

    def __init__(self, grid: tuple[int, int]) -> None:
        """grid: (rows, columns) of positions of a group without camera motion."""
        self._state = MaskState(grid)

    def encode(self, mask: np.ndarray, view: GroupView) -> tuple[int, bytes]:
        """(coding id, bytes) of the next group's keep mask (T, h, w), which is remembered."""
        found = encode_mask(mask, view, self._state)
        self.advance(mask, view)
        return found

    def decode(self, data: GroupBytes, shape: GroupShape) -> np.ndarray:
        """bool (T, h, w): the next group's keep mask, not remembered yet. Raises what `decode_mask` raises."""
        return decode_mask(data.mask_coding, data.mask, shape.view, self._state)

    def advance(self, mask: np.ndarray, view: GroupView) -> None:
        """Remember a group's keep mask (T, h, w)."""
        for t, here in enumerate(view.frames):
            self._state.look(here)
            self._state.advance(view.take(mask, t))
