"""Protects: what is gathered is what stands around, and pairs of activations are what has a sign."""

from __future__ import annotations

import numpy as np
import pytest

from latcomp.kernels import REFERENCE, SignedTable, both_signs, gather, neighbours
from latcomp.kernels.gather import BLOCK


@pytest.mark.parametrize("count", [0, 1, BLOCK, BLOCK + 3])
def test_gather(count: int) -> None:
    """Every place, in order, and nothing behind them is touched."""
    rng = np.random.default_rng(count)
    values = rng.integers(0, 128, (40, 5)).astype(np.uint8)
    around = rng.integers(0, 40, (count, 9))
    more = rng.integers(0, 128, (count, 3)).astype(np.uint8), rng.integers(0, 128, (count, 4)).astype(np.uint8)
    found = neighbours(values, around, *more)
    assert np.array_equal(found, np.concatenate([values[around].reshape(count, 45), *more], axis=1))
    gather(values[::-1].copy(), around, found)
    assert np.array_equal(found[:, :45], values[::-1][around].reshape(count, 45))
    assert np.array_equal(found[:, 45:], np.concatenate(more, axis=1))


def test_pairs_are_what_has_a_sign() -> None:
    """Products with pairs are those with the signed values, beyond the table with its ends."""
    rng = np.random.default_rng(0)
    magnitudes = np.minimum(2 * np.arange(70), 127)
    table = SignedTable(magnitudes)
    values = rng.integers(-90, 91, (50, 12)).astype(np.int32)
    values[0, :4] = -69, 69, 0, -(2**31)
    pairs = table(values).view(np.uint8)
    assert pairs.shape == (50, 24) and (np.minimum(pairs[:, ::2], pairs[:, 1::2]) == 0).all()
    whole = np.sign(values) * magnitudes[np.minimum(np.abs(values.astype(np.int64)), 69)]
    weight = rng.integers(-127, 128, (12, 7)).astype(np.int8)
    layer = REFERENCE.layer(both_signs(weight), np.zeros(7, np.int32))
    assert np.array_equal(layer.sums(pairs), whole @ weight.astype(np.int64))
