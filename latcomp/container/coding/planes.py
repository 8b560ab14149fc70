"""Layouts of plain planes: all symbols of channel 0, then of channel 1, and so on; for content that repeats exactly, as
on screens.
"""

from __future__ import annotations

import numpy as np

from latcomp.container.zstd import decompress
from latcomp.errors import DamagedFileError

WHAT = "tokens"


def split_bytes(table: np.ndarray) -> bytes:
    """(N, C) numbers as planes: of channel 0 all lowest bytes, ... all highest bytes, then channel 1. A number has 1, 2
    or 4 bytes.
    """
    width = table.dtype.itemsize
    planes = np.ascontiguousarray(table.T).view(np.uint8).reshape(*table.T.shape, width)
    return planes.transpose(0, 2, 1).tobytes()


def join_bytes(content: bytes, rows: int, channels: int, dtype: np.dtype) -> np.ndarray:
    """The inverse of `split_bytes`: (N, C) of `dtype`, a copy that may be written to."""
    planes = np.frombuffer(content, np.uint8).reshape(channels, dtype.itemsize, rows)
    return planes.transpose(2, 0, 1).copy().view(dtype).reshape(rows, channels)


def planes_of_symbols(symbols: np.ndarray) -> bytes:
    """Planes of symbols (N, C), one byte each if all fit, else two."""
    small = symbols.size == 0 or (symbols.min() >= -128 and symbols.max() <= 127)
    return split_bytes(symbols.astype("<i1" if small else "<i2"))


def symbols_of_planes(data: bytes | memoryview, rows: int, channels: int) -> np.ndarray:
    """(N, C) int32 of the zstd frame of `planes_of_symbols`; its size tells the width. Raises `DamagedFileError` on any
    other size.
    """
    content = decompress(data, 2 * rows * channels, WHAT)
    if len(content) not in (rows * channels, 2 * rows * channels):
        raise DamagedFileError(f"{WHAT}: {len(content)} bytes for {rows} x {channels} symbols")
    dtype = np.dtype("<i1" if len(content) == rows * channels else "<i2")
    return join_bytes(content, rows, channels, dtype).astype(np.int32)
