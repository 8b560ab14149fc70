"""The token and mask codings earn their place: they are smaller than plain planes and bits, and choose well."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from latcomp.container.segment import SegmentState
from latcomp.container.tokens import decode_tokens, encode_tokens

from latcomp.container.coding.context.tokens import encode_context
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
from latcomp.container.coding.masks import encode_mask
from latcomp.container.coding.planes import join_bytes, planes_of_symbols, split_bytes
from latcomp.container.coding.streams import decode_streams, encode_streams, read_table
from latcomp.container.format import LAYOUT_CONTEXT, LAYOUT_PLANES, LAYOUT_REPEATS, MASK_ALL, MASK_CONTEXT
from latcomp.container.varint import VarintReader
from latcomp.container.zstd import compress, compress_parts, decompress
from tests.container.make import groups, sized


def assert_gives(found: tuple[np.ndarray, np.ndarray | None], tokens: np.ndarray) -> None:
    """Without a prior, what was decoded is these tokens and no octaves."""
    assert (found[0] == tokens).all() and found[1] is None


def test_context_beats_planes() -> None:
    """On latents that are smooth in space and time the context layout takes at least a tenth less than planes at zstd's
    highest level.
    """
    of = sized(30, 40, 24)
    state = SegmentState(of)
    for group in groups(of, 2):
        layout, data = encode_tokens(group.tokens, None, group.mask, group.key, state, 0)
        assert layout == LAYOUT_CONTEXT
        assert len(data) < 0.9 * len(compress(planes_of_symbols(group.tokens)))


def test_planes_for_repeats() -> None:
    """Where the same token comes again and again, as on screens, planes are chosen."""
    rng = np.random.default_rng(0)
    of = sized(30, 40, 24)
    tile = rng.integers(-9, 9, (5, 8, 24))
    screen = np.tile(tile, (6, 5, 1)).reshape(-1, 24).astype(np.int32)
    layout, data = encode_tokens(screen, None, np.ones((1, 30, 40), bool), True, SegmentState(of), 0)
    assert layout == LAYOUT_PLANES and len(data) < 2000


def test_repeated_tokens_cost_next_to_nothing() -> None:
    """With everything kept, tokens that equal their last kept value are left out: far smaller than context or planes
    alone.
    """
    of = sized(30, 40, 24)
    state, reading = SegmentState(of), SegmentState(of)
    for group in groups(of, 2, dense=True):
        before = state.last.copy(), state.model
        layout, data = encode_tokens(group.tokens, None, group.mask, group.key, state, 0)
        assert layout == LAYOUT_REPEATS
        flat = group.mask.reshape(8, -1)
        assert len(data) < 0.9 * len(
            encode_context(group.tokens, flat, group.key, before[0], state.passes, before[1])[0]
        )
        assert_gives(decode_tokens(layout, data, group.mask, group.key, reading, 0), group.tokens)
    still = np.tile(state.last[:-1], (3, 1))
    layout, data = encode_tokens(still, None, np.ones((3, 30, 40), bool), False, state, 0)
    assert layout == LAYOUT_REPEATS and len(data) < 40
    assert_gives(decode_tokens(layout, data, np.ones((3, 30, 40), bool), False, reading, 0), still)


def test_small_groups_take_over_weights() -> None:
    """A small group of a segment does not store weights that serve as well as its own."""
    of = sized(12, 16, 48)
    made = groups(of, 2)
    alone, after = SegmentState(of), SegmentState(of)
    encode_tokens(made[0].tokens, None, made[0].mask, True, after, 0)
    alone.last[:] = after.last
    with_weights = encode_tokens(made[1].tokens, None, made[1].mask, False, alone, 0)[1]
    without = encode_tokens(made[1].tokens, None, made[1].mask, False, after, 0)[1]
    assert len(without) < len(with_weights) - 50


def test_masks_by_context() -> None:
    """Masks of moving things take at least a tenth less than their bits under zstd."""
    of = sized(60, 80, 2)
    made = groups(of, 2)
    rng = np.random.default_rng(1)
    state = SegmentState(of)
    for group in made:
        mask = group.mask ^ (rng.random(group.mask.shape) < 0.005)
        mask[0] |= group.key
        coding, data = encode_mask(mask, group.key, state.passes, state.masks)
        assert coding == MASK_CONTEXT
        assert len(data) < 0.9 * len(compress(np.packbits(mask[int(group.key) :]).tobytes()))
        state.masks.move_on(mask, group.key)
    assert encode_mask(np.ones((3, 60, 80), bool), False, state.passes, state.masks) == (MASK_ALL, b"")


def test_states_move_on_alike() -> None:
    """Encoder and decoder states move on alike, whatever layout each group takes."""
    of = sized(9, 9, 4)
    writing, reading = SegmentState(of), SegmentState(of)
    for group in groups(of, 4):
        layout, data = encode_tokens(group.tokens, None, group.mask, group.key, writing, 0)
        assert_gives(decode_tokens(layout, data, group.mask, group.key, reading, 0), group.tokens)
        assert (writing.last == reading.last).all()


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
