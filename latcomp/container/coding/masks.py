"""Keep masks in few bytes: packed bits under zstd, as they are or as changes, or bits sorted by what their neighbours
make likely.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from latcomp.container.coding.group_coder import GroupBytes, GroupShape
from latcomp.container.coding.lattice import DIAGONAL, DIRECT, PassPositions, passes_of
from latcomp.container.coding.streams import decode_streams, encode_streams, read_table
from latcomp.container.format import MASK_ALL, MASK_BITS, MASK_CHANGES, MASK_CONTEXT
from latcomp.container.varint import VarintReader
from latcomp.container.zstd import compress, compress_parts, decompress
from latcomp.errors import DamagedFileError, UnsupportedFileError

WHAT = "keep mask"
MASK_CLASSES = 22
SCORE_SHIFT = 1
NEAR_WEIGHT, LAST_WEIGHT = 24, 6
FIRST_PASS_START, FIRST_PASS_DIRECT, FIRST_PASS_DIAGONAL = 8, 3, 1
START, DIRECT_WEIGHT, DIAGONAL_WEIGHT = 4, 1, -1


class MaskState:
    """What a segment remembers of its masks: the two latent frames before, all false where there is none.

    The first latent frame of a segment, where everything is kept, says nothing and is remembered as all false too.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.last = np.zeros((rows, columns), bool)
        self.earlier = np.zeros((rows, columns), bool)

    def advance(self, mask: np.ndarray, key: bool) -> None:
        """Remember the masks (T, h, w) of a group."""
        if key:
            self.last, self.earlier = np.zeros_like(mask[0]), np.zeros_like(mask[0])
        for frame in mask[int(key) :]:
            self.last, self.earlier = frame.copy(), self.last


def _neighbours_kept(mask: np.ndarray, offsets: tuple[tuple[int, int], ...]) -> np.ndarray:
    """int32 (h, w): how many of the neighbours at these offsets are kept."""
    rows, columns = mask.shape
    framed = np.pad(mask.astype(np.int32), 1)
    return sum(framed[1 + y : 1 + y + rows, 1 + x : 1 + x + columns] for y, x in offsets)  # type: ignore[return-value]


class _Scores:
    """Classes of the positions of one latent frame, from the two before and what is known of this one."""

    def __init__(self, state: MaskState) -> None:
        last = state.last.astype(np.int32)
        direct, diagonal = _neighbours_kept(state.last, DIRECT), _neighbours_kept(state.last, DIAGONAL)
        common = LAST_WEIGHT * last + state.earlier
        self._first = (common + FIRST_PASS_DIRECT * direct + FIRST_PASS_DIAGONAL * diagonal + FIRST_PASS_START).reshape(
            -1
        )
        self._later = (common + DIRECT_WEIGHT * direct + DIAGONAL_WEIGHT * diagonal + START).reshape(-1)

    def classes(self, positions: PassPositions, known: np.ndarray) -> np.ndarray:
        """uint8 (n,): classes of a pass's places. known: (P + 1,) int32 bits of this latent frame's earlier passes."""
        if positions.number == 0:
            score = self._first[positions.places]
        else:
            near = known[positions.neighbours].sum(axis=0, dtype=np.int32) * positions.share[:, 0]
            score = self._later[positions.places] + (near * NEAR_WEIGHT >> 6)
        found: np.ndarray = np.clip(score >> SCORE_SHIFT, 0, MASK_CLASSES - 1).astype(np.uint8)
        return found


def _frames(mask: np.ndarray, key: bool, state: MaskState) -> Iterator[tuple[np.ndarray, _Scores]]:
    """Stored latent frames of `mask`, each with the scores from those before; the frames may be filled in between."""
    walking = MaskState(*mask.shape[1:])
    if not key:
        walking.last, walking.earlier = state.last, state.earlier
    for frame in mask[int(key) :]:
        yield frame, _Scores(walking)
        walking.last, walking.earlier = frame, walking.last


def _encode_context(mask: np.ndarray, key: bool, passes: list[PassPositions], state: MaskState) -> bytes:
    bits, classes = [], []
    for frame, scores in _frames(mask, key, state):
        known = np.append(frame.reshape(-1), False).astype(np.int32)
        for positions in passes:
            bits.append(known[positions.places])
            classes.append(scores.classes(positions, known))
    table, parts = encode_streams(np.concatenate(bits), np.concatenate(classes), MASK_CLASSES, bits=True)
    return compress_parts([table, *parts])


def _decode_context(
    data: bytes | memoryview, mask: np.ndarray, key: bool, passes: list[PassPositions], state: MaskState
) -> None:
    count = mask[int(key) :].size
    content = decompress(data, count + 16 * MASK_CLASSES + 1, WHAT)
    numbers = VarintReader(content, "stream table")
    streams = read_table(numbers, count, MASK_CLASSES, bits=True)
    values = decode_streams(streams, np.frombuffer(content, np.uint8, offset=numbers.offset), bits=True)
    for frame, scores in _frames(mask, key, state):
        known = np.zeros(frame.size + 1, np.int32)
        for positions in passes:
            if len(positions.places):
                known[positions.places] = values.take(scores.classes(positions, known))
        frame[:] = known[:-1].reshape(frame.shape)
    values.check_all_taken()


def encode_mask(mask: np.ndarray, key: bool, passes: list[PassPositions], state: MaskState) -> tuple[int, bytes]:
    """(coding id, bytes) of a keep mask (T, h, w) bool. A key group's first latent frame is all kept and not stored.

    `state` is not changed: `MaskState.advance` does that.
    """
    if mask.all():
        return MASK_ALL, b""
    stored = mask[int(key) :]
    changes = stored.copy()
    changes[1:] ^= stored[:-1]
    tried = [
        (MASK_CONTEXT, _encode_context(mask, key, passes, state)),
        (MASK_BITS, compress(np.packbits(stored).tobytes())),
        (MASK_CHANGES, compress(np.packbits(changes).tobytes())),
    ]
    return min(tried, key=lambda pair: len(pair[1]))


def decode_mask(
    coding: int,
    data: bytes | memoryview,
    shape: tuple[int, int, int],
    key: bool,
    passes: list[PassPositions],
    state: MaskState,
) -> np.ndarray:
    """bool (T, h, w). Raises `DamagedFileError` when the bytes do not give exactly that many bits."""
    mask = np.ones(shape, bool)
    if coding == MASK_ALL:
        if len(data):
            raise DamagedFileError(f"{WHAT}: bytes where none belong")
        return mask
    if coding == MASK_CONTEXT:
        try:
            _decode_context(data, mask, key, passes, state)
        except DamagedFileError as error:
            raise DamagedFileError(f"{WHAT}: {error}") from None
        return mask
    if coding not in (MASK_BITS, MASK_CHANGES):
        raise UnsupportedFileError(f"{WHAT}: coding {coding} is not known: use a newer latcomp")
    steps = shape[0] - key
    count = steps * shape[1] * shape[2]
    packed = np.frombuffer(decompress(data, -(-count // 8), WHAT, exactly=-(-count // 8)), np.uint8)
    bits = np.unpackbits(packed)
    if bits[count:].any():
        raise DamagedFileError(f"{WHAT}: bits after the last position")
    stored = bits[:count].reshape(steps, *shape[1:])
    if coding == MASK_CHANGES:
        stored = np.bitwise_xor.accumulate(stored, axis=0)
    mask[int(key) :] = stored
    return mask


class PlainMasks:
    """The keep masks of a segment without a prior: what is remembered of them, and the order of their positions."""

    def __init__(self, grid: tuple[int, int]) -> None:
        """grid: (rows, columns) of positions."""
        self._passes = passes_of(*grid)
        self._state = MaskState(*grid)

    def encode(self, mask: np.ndarray, key: bool) -> tuple[int, bytes]:
        """(coding id, bytes) of the next group's keep mask (T, h, w), which is remembered."""
        found = encode_mask(mask, key, self._passes, self._state)
        self.advance(mask, key)
        return found

    def decode(self, data: GroupBytes, shape: GroupShape) -> np.ndarray:
        """bool (T, h, w): the next group's keep mask, not remembered yet. Raises what `decode_mask` raises."""
        return decode_mask(data.mask_coding, data.mask, shape.mask, shape.key, self._passes, self._state)

    def advance(self, mask: np.ndarray, key: bool) -> None:
        """Remember a group's keep mask (T, h, w)."""
        self._state.advance(mask, key)
