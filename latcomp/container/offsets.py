"""Camera offsets of a group in few bytes: that of its first frame, then runs of equal steps from frame to frame."""

from __future__ import annotations

import numpy as np

from latcomp.container.header import NUMBER_BYTES, Header
from latcomp.container.limits import Limits
from latcomp.container.varint import VarintReader, put_signed, put_unsigned
from latcomp.errors import DamagedFileError, LimitError
from latcomp.latents import Box

WHAT = "camera offsets"
OFFSET_MOST = 2**31 - 1
"""Pixels from the world's corner, either way."""
WORLD_PICTURES = 8
"""Pictures whose positions the world of a segment may have; `WORLD_LEAST` where they are few."""
WORLD_LEAST = 4096


def world_most(grid: tuple[int, int]) -> int:
    """Positions that the box around all that a segment shows may have. grid: (rows, columns) of a picture."""
    return max(WORLD_PICTURES * grid[0] * grid[1], WORLD_LEAST)


class SegmentWorld:
    """The box around all that the segment shows that is read or written, which has a bound: what a segment remembers
    grows with it."""

    def __init__(self, header: Header, limits: Limits) -> None:
        self._box: Box | None = None
        self._most = world_most(header.grid)
        self._bytes_each, self._most_bytes = header.channels * NUMBER_BYTES, limits.max_group_bytes

    def show(self, window: Box, key: bool, name: str) -> None:
        """Take the next group's window in. Raises `LimitError` naming the group where the segment shows too much."""
        self._box = window if key or self._box is None else Box.around((self._box, window))
        area = self._box.area
        if area > self._most:
            raise LimitError(f"{name}: its segment shows {area} positions of the world, {self._most} are allowed")
        if area * self._bytes_each > self._most_bytes:
            raise LimitError(
                f"{name}: its segment shows {area} positions of the world, which take {area * self._bytes_each} bytes; "
                f"{self._most_bytes} are allowed (raise with max_group_bytes)",
                settings=("max_group_bytes",),
            )


def encode_offsets(offsets: np.ndarray) -> bytes:
    """The bytes of offsets (frames, 2), whole pixels; at least one frame."""
    rows = [(int(dy), int(dx)) for dy, dx in offsets]
    body = bytearray()
    for number in rows[0]:
        put_signed(body, number)
    steps = [(after[0] - before[0], after[1] - before[1]) for before, after in zip(rows, rows[1:], strict=False)]
    place = 0
    while place < len(steps):
        run = 1
        while place + run < len(steps) and steps[place + run] == steps[place]:
            run += 1
        put_unsigned(body, run)
        for number in steps[place]:
            put_signed(body, number)
        place += run
    return bytes(body)


def decode_offsets(numbers: VarintReader, frames: int) -> np.ndarray:
    """int64 (frames, 2), from where `numbers` stands to behind them. Raises `DamagedFileError` when they are not
    exactly so many, or an offset passes 31 bits.
    """
    at = (numbers.signed(), numbers.signed())
    _check(*at)
    runs, steps, place = [1], [at], 1
    while place < frames:
        run, (down, right) = numbers.unsigned(), (numbers.signed(), numbers.signed())
        if not 1 <= run <= frames - place:
            raise DamagedFileError(f"{WHAT}: {place + run} of {frames} frames")
        at = at[0] + run * down, at[1] + run * right
        _check(*at)  # the way there is straight
        runs.append(run)
        steps.append((down, right))
        place += run
    found: np.ndarray = np.repeat(np.array(steps, np.int64), runs, axis=0).cumsum(axis=0)
    return found


def _check(down: int, right: int) -> None:
    if not (-OFFSET_MOST <= down <= OFFSET_MOST and -OFFSET_MOST <= right <= OFFSET_MOST):
        raise DamagedFileError(f"{WHAT}: an offset passes 31 bits")
