"""Small whole numbers packed into bytes, several to a byte; a digit at the end of its range stands for everything
beyond as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Packing:
    """How digits make a byte: the sum of digit x base**place over its digits, the first digit at place 0.

    A last byte that is not full is filled up with values of zero.
    """

    base: int
    digits: int
    """Digits a byte."""
    signed: bool
    """Signed values lie in the middle: digit = value + (base - 1) / 2."""

    @property
    def top(self) -> int:
        """Largest magnitude a digit can say; it stands for itself and everything larger."""
        return (self.base - 1) // 2 if self.signed else self.base - 1

    @property
    def zero(self) -> int:
        """The digit of value 0."""
        return self.top if self.signed else 0

    def bytes_of(self, count: int) -> int:
        """Bytes that `count` digits take."""
        return -(-count // self.digits)


SIGNED_PACKINGS = (
    Packing(3, 5, True),
    Packing(3, 3, True),
    Packing(5, 3, True),
    Packing(7, 2, True),
    Packing(9, 2, True),
    Packing(15, 1, True),
    Packing(31, 1, True),
    Packing(63, 1, True),
    Packing(255, 1, True),
)


@dataclass(frozen=True)
class Gaps:
    """Bits as the distances between those of one kind: see `pack_gaps`."""

    kind: int
    """1: distances between ones, 0: between zeros."""


BIT_PACKINGS = (
    Packing(2, 8, False),
    Packing(2, 6, False),
    Packing(2, 4, False),
    Packing(2, 2, False),
    Gaps(1),
    Gaps(0),
)
UNSIGNED_PACKINGS = (
    Packing(2, 8, False),
    Packing(2, 4, False),
    Packing(3, 3, False),
    Packing(4, 2, False),
    Packing(6, 2, False),
    Packing(8, 1, False),
    Packing(16, 1, False),
    Packing(64, 1, False),
    Packing(256, 1, False),
)


def pack_digits(values: np.ndarray, packing: Packing) -> np.ndarray:
    """uint8 bytes of values; larger ones are cut to the packing's range."""
    count = packing.bytes_of(len(values))
    digits = np.full(count * packing.digits, packing.zero, np.uint8)
    digits[: len(values)] = np.clip(values, -packing.top if packing.signed else 0, packing.top) + packing.zero
    table = digits.reshape(count, packing.digits)
    packed = table[:, -1].copy()
    for place in range(packing.digits - 2, -1, -1):
        packed *= np.uint8(packing.base)
        packed += table[:, place]
    return packed


@lru_cache(maxsize=64)
def _values_of_bytes(packing: Packing) -> np.ndarray:
    """(256, digits) int32: the values that each byte holds."""
    powers = packing.base ** np.arange(packing.digits)
    return (np.arange(256)[:, None] // powers % packing.base - packing.zero).astype(np.int32)


def unpack_digits(packed: np.ndarray, count: int, packing: Packing) -> np.ndarray | None:
    """int32 (count,) values; None when a byte is one that no digits make, or a digit behind the last value is not
    zero.
    """
    if packed.size and int(packed.max()) >= packing.base**packing.digits:
        return None
    values = _values_of_bytes(packing)[packed].reshape(-1)
    if values[count:].any():
        return None
    found: np.ndarray = values[:count]
    return found


LONG_GAP = 255


def pack_gaps(bits: np.ndarray, packing: Gaps) -> np.ndarray:
    """uint8: for each one, the number of zeros since the one before; a byte of 255 stands for 255 zeros with no one
    behind them yet.

    Zeros behind the last one are not written. For distances between zeros the bits are turned over first.
    """
    gaps = np.diff(np.flatnonzero(bits == packing.kind), prepend=-1) - 1
    long_gaps, rest = np.divmod(gaps, LONG_GAP)
    packed = np.full(int(long_gaps.sum()) + len(gaps), LONG_GAP, np.uint8)
    packed[np.cumsum(long_gaps + 1) - 1] = rest
    return packed


def unpack_gaps(packed: np.ndarray, count: int, packing: Gaps) -> np.ndarray | None:
    """int32 (count,) bits; None when they are more, or the last byte is 255."""
    ones = packed < LONG_GAP
    places = np.cumsum(packed.astype(np.int64) + ones) - 1
    if len(packed) and (not ones[-1] or places[-1] >= count):
        return None
    bits = np.full(count, 1 - packing.kind, np.int32)
    bits[places[ones]] = packing.kind
    return bits


def beyond(values: np.ndarray, packing: Packing) -> np.ndarray:
    """What each value at or beyond the packing's range has left after its digit: magnitude - top, in order."""
    sizes = np.abs(values)
    found: np.ndarray = sizes[sizes >= packing.top] - packing.top
    return found
