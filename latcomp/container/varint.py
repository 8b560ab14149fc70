"""Whole numbers in few bytes: LEB128, seven bits a byte, least significant first; signed ones zigzag (0, -1, 1, -2,
...).
"""

from __future__ import annotations

from collections.abc import Iterable

from latcomp.errors import DamagedFileError

BYTES_MAX = 10  # 70 bits: differences between 64-bit times fit


def put_unsigned(out: bytearray, value: int) -> None:
    """Append `value` (0 up to 2**70 - 1)."""
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def put_signed(out: bytearray, value: int) -> None:
    """Append `value` (-2**69 up to 2**69 - 1), zigzag."""
    put_unsigned(out, value << 1 if value >= 0 else (-value << 1) - 1)


def pack_signed(values: Iterable[int]) -> bytes:
    """The bytes of several signed numbers in a row."""
    out = bytearray()
    for value in values:
        put_signed(out, value)
    return bytes(out)


class VarintReader:
    """Reads numbers from the front of some bytes; `offset` is where the next one starts."""

    def __init__(self, data: bytes | memoryview, what: str, offset: int = 0) -> None:
        self.data, self.what, self.offset = data, what, offset

    @property
    def exhausted(self) -> bool:
        """Whether every byte was read."""
        return self.offset >= len(self.data)

    def byte(self) -> int:
        """The next byte as it is."""
        if self.offset >= len(self.data):
            raise DamagedFileError(f"{self.what}: ends too early")
        self.offset += 1
        return self.data[self.offset - 1]

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > len(self.data) - self.offset:
            raise DamagedFileError(f"{self.what}: ends too early")
        self.offset += count
        return bytes(self.data[self.offset - count : self.offset])

    def unsigned(self) -> int:
        """The next number. Raises `DamagedFileError` when the bytes end inside it or it takes more than ten of them."""
        value = 0
        for place in range(BYTES_MAX):
            if self.offset >= len(self.data):
                raise DamagedFileError(f"{self.what}: ends inside a number")
            byte = self.data[self.offset]
            self.offset += 1
            value |= (byte & 127) << (7 * place)
            if byte < 128:
                return value
        raise DamagedFileError(f"{self.what}: a number of more than {BYTES_MAX} bytes")

    def signed(self) -> int:
        """The next zigzag number."""
        value = self.unsigned()
        return -(value + 1 >> 1) if value & 1 else value >> 1
