"""Planes of bytes, and parts that are compressed one by one, join to what they were."""

from __future__ import annotations

import numpy as np
import pytest

from latcomp.container.coding.planes import join_bytes, split_bytes
from latcomp.container.zstd import compress_parts, decompress


@pytest.mark.parametrize("dtype", ["<i1", "<i2", "<u4"])
def test_planes(dtype: str) -> None:
    """Bytes split into planes join to the same numbers."""
    rng = np.random.default_rng(0)
    table = rng.integers(-100, 100, (13, 5)).astype(dtype)
    assert (join_bytes(split_bytes(table), 13, 5, np.dtype(dtype)) == table).all()


def test_parts_are_one_frame() -> None:
    """Parts with blocks of their own are still one zstd frame with a declared size, also when all are empty."""
    for parts in ([b"a" * 500, b"", b"b" * 20, bytes(range(256)) * 900], [b""], []):
        assert decompress(compress_parts(parts), 10**6, "test", exactly=sum(map(len, parts))) == b"".join(parts)
