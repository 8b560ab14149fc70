"""Digits, gaps and streams give back what was put in, whatever it was, and each packing earns its place."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.container.coding.digits import (
    BIT_PACKINGS,
    SIGNED_PACKINGS,
    UNSIGNED_PACKINGS,
    Gaps,
    pack_digits,
    pack_gaps,
    unpack_digits,
    unpack_gaps,
)
from latcomp.container.coding.streams import decode_streams, encode_streams, read_table
from latcomp.container.varint import VarintReader


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_digits(data: st.DataObject) -> None:
    """Values inside a packing's range come back; bytes that no digits make are refused."""
    packing = data.draw(st.sampled_from([*SIGNED_PACKINGS, *UNSIGNED_PACKINGS]))
    low = -packing.top if packing.signed else 0
    values = np.array(data.draw(st.lists(st.integers(low, packing.top), max_size=50)), np.int32)
    packed = pack_digits(values, packing)
    assert len(packed) == packing.bytes_of(len(values))
    assert unpack_digits(packed, len(values), packing).tolist() == values.tolist()  # type: ignore[union-attr]
    if packing.base**packing.digits < 256:
        assert unpack_digits(np.array([255], np.uint8), packing.digits, packing) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 800), st.booleans()), max_size=12), st.sampled_from([0, 1]))
def test_gaps(runs: list[tuple[int, bool]], kind: int) -> None:
    """Bits with runs of any length come back from their gaps; gaps that pass the end, or end inside one, are
    refused.
    """
    bits = np.concatenate([np.zeros(0, np.int32), *[np.full(length, one, np.int32) for length, one in runs]])
    packed = pack_gaps(bits, Gaps(kind))
    assert unpack_gaps(packed, len(bits), Gaps(kind)).tolist() == bits.tolist()  # type: ignore[union-attr]
    assert unpack_gaps(np.append(packed, 255).astype(np.uint8), len(bits), Gaps(kind)) is None
    assert unpack_gaps(np.append(packed, 254).astype(np.uint8), len(bits), Gaps(kind)) is None or len(bits) > 254


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 21), st.sampled_from([0.3, 2.0, 40.0, 20_000.0]), st.booleans())
def test_streams(seed: int, classes: int, reach: float, bits: bool) -> None:
    """Any values with any classes come back in coding order, however they are taken."""
    rng = np.random.default_rng(seed)
    of_class = rng.integers(0, classes, rng.integers(1, 4000)).astype(np.uint8)
    if bits:
        values = (rng.random(len(of_class)) < of_class / classes / 2).astype(np.int32)
    else:
        values = np.clip(rng.laplace(size=len(of_class)) * reach * of_class / classes, -65535, 65535).astype(np.int32)
    table, parts = encode_streams(values, of_class, classes, bits)
    numbers = VarintReader(table, "test")
    streams = read_table(numbers, len(values), classes, bits)
    assert numbers.exhausted
    back = decode_streams(streams, np.frombuffer(b"".join(parts), np.uint8), bits)
    half = len(values) // 3
    assert np.concatenate([back.take(of_class[:half]), back.take(of_class[half:])]).tolist() == values.tolist()
    back.check_all_taken()


def test_every_packing_is_of_use() -> None:
    """Each packing of bits is chosen for some probability; a list without use would only cost ids."""
    rng = np.random.default_rng(0)
    chosen = set()
    for probability in (0.001, 0.02, 0.1, 0.2, 0.35, 0.5, 0.8, 0.95, 0.995):
        for count in (60, 400, 3000, 30_000, 300_000):
            bits = (rng.random(count) < probability).astype(np.int32)
            chosen.add(
                read_table(
                    VarintReader(encode_streams(bits, np.zeros(count, np.uint8), 1, True)[0], ""), count, 1, True
                )[0].packing
            )
    assert {0, len(BIT_PACKINGS) - 2, len(BIT_PACKINGS) - 1} <= chosen
    assert len(chosen) >= 4
