"""Coding by tables: frequencies are exactly the given ones, nothing is wasted, and no bytes can do harm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from latcomp.container.coding.prior.tables import TOTAL, TableDecoder, TableEncoder, Tables, whole_frequencies
from latcomp.errors import DamagedFileError
from tests.container.make import prior

FIRST_SCALE = (2**64 - 1) >> 24  # of the range coder, before the first value


def table(*frequencies: int) -> np.ndarray:
    return np.array(frequencies, np.uint32)


ODD = Tables(
    [
        table(TOTAL - 1, 1),
        table(1, TOTAL - 1),
        table(1, TOTAL - 2, 1),
        table(TOTAL // 2, TOTAL // 2),
        table(3, 5, TOTAL - 8),
    ]
)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(2, 300)), elements=st.floats(0, 1e12)))
def test_whole_frequencies(weights: np.ndarray) -> None:
    """Frequencies add up to the total, none is zero, and each is its share but for rounding; the likeliest takes what
    is left.
    """
    weights[:, 0] += 1e-3
    found = whole_frequencies(weights)
    assert found.dtype == np.uint32 and found.shape == weights.shape
    assert (found.sum(-1, dtype=np.int64) == TOTAL).all() and found.min() >= 1
    exact = weights / weights.sum(-1, keepdims=True) * (TOTAL - weights.shape[1])
    assert (np.abs(found - exact) <= weights.shape[1] + 1).all()


def test_tables_that_do_not_add_up() -> None:
    """Tables with another sum, with a zero, or of a single symbol are refused."""
    for wrong in (table(TOTAL - 2, 1), table(TOTAL, 0), table(TOTAL), table(TOTAL, 1), table(2**32 - 1, TOTAL + 1)):
        with pytest.raises(DamagedFileError, match="add up"):
            Tables([ODD.frequencies[0], wrong])


def first_symbol(point: int, context: int, tables: Tables) -> int:
    """What a decoder whose first two words are `point` gives first."""
    words = np.array([point >> 32, point & 0xFFFFFFFF], "<u4")
    return int(TableDecoder(words.tobytes()).take(np.array([context], np.uint8), tables)[0])


@pytest.mark.parametrize("tables", [ODD, prior().value_tables, prior().mode_tables], ids=["odd", "values", "modes"])
def test_frequencies_are_exact(tables: Tables) -> None:
    """The coder's interval of every symbol begins and ends where the sum of the given frequencies says, to the last
    unit.
    """
    for context in range(0, len(tables), 1 + len(tables) // 30):
        cumulative = 0
        for symbol, frequency in enumerate(tables.frequencies[context].tolist()):
            assert first_symbol(cumulative * FIRST_SCALE, context, tables) == symbol
            cumulative += frequency
            assert first_symbol(cumulative * FIRST_SCALE - 1, context, tables) == symbol
        assert cumulative == TOTAL
        with pytest.raises(DamagedFileError):
            first_symbol(cumulative * FIRST_SCALE, context, tables)


def test_length_is_that_of_the_tables() -> None:
    """Long inputs take what the frequencies promise, to 0.1 %: many tables, one table, and values that are all but
    certain.
    """
    rng = np.random.default_rng(0)
    cases = [
        (prior().value_tables, rng.integers(0, 220, 200_000)),
        (ODD, np.full(200_000, 3)),
        (ODD, np.zeros(3_000_000, np.int64)),
    ]
    for tables, contexts in cases:
        symbols = np.empty(len(contexts), np.int32)
        ideal = 0.0
        for context in np.unique(contexts):
            share = tables.frequencies[context] / TOTAL
            drawn = rng.choice(len(share), size=int((contexts == context).sum()), p=share)
            symbols[contexts == context] = drawn
            ideal -= np.log2(share[drawn]).sum()
        coder = TableEncoder()
        coder.put(symbols, contexts.astype(np.uint8), tables)
        data = coder.finish()
        assert 0.999 * ideal - 64 <= 8 * len(data) <= 1.001 * ideal + 64
        decoder = TableDecoder(data)
        assert (decoder.take(contexts.astype(np.uint8), tables) == symbols).all()
        decoder.check_end()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_calls(data: st.DataObject) -> None:
    """Whatever is put in, in calls of any size, comes back from the same calls, and the end is found."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    tables = data.draw(st.sampled_from([ODD, prior().value_tables, prior().mask_tables]))
    coder, calls = TableEncoder(), []
    for count in data.draw(st.lists(st.integers(0, 200), max_size=6)):
        contexts = rng.integers(0, len(tables), count).astype(np.uint16)
        symbols = np.array([rng.integers(len(tables.frequencies[context])) for context in contexts], np.int32)
        wide = rng.integers(0, 1 << 18, count // 3).astype(np.int32)
        coder.put(symbols, contexts, tables)
        coder.put_wide(wide, 1 << 18)
        calls.append((contexts, symbols, wide))
    packed = coder.finish()
    decoder = TableDecoder(packed)
    for contexts, symbols, wide in calls:
        assert decoder.take(contexts, tables).tolist() == symbols.tolist()
        assert decoder.take_wide(len(wide), 1 << 18).tolist() == wide.tolist()
    decoder.check_end()
    assert bool(packed) == any(len(symbols) for _, symbols, _ in calls)
    longer = TableDecoder(packed + bytes(8))
    for contexts, _, wide in calls:
        longer.take(contexts, tables)
        longer.take_wide(len(wide), 1 << 18)
    with pytest.raises(DamagedFileError, match="left over"):
        longer.check_end()


@pytest.mark.parametrize("count", [1, 7, 700, 70_000])
def test_words_hold_what_they_can_and_no_more(count: int) -> None:
    """The likeliest symbols, which take least, are read from their own words; fewer words than they need at least are
    damage at once, as missing ones would read as zeros without end."""
    tables = prior().mask_tables
    contexts = np.random.default_rng(count).integers(0, len(tables), count).astype(np.uint8)
    symbols = np.array([tables.frequencies[context].argmax() for context in contexts], np.int32)
    coder = TableEncoder()
    coder.put(symbols, contexts, tables)
    packed = coder.finish()
    assert TableDecoder(packed).take(contexts, tables).tolist() == symbols.tolist()
    needed = tables.least_bits[contexts].sum()
    assert needed <= 8 * len(packed) <= needed + 2 * 32 + 1
    for words in range(int(needed // 32)):
        with pytest.raises(DamagedFileError, match="cut off"):
            TableDecoder(packed[: 4 * words]).take(contexts, tables)
    with pytest.raises(DamagedFileError, match="cut off"):
        TableDecoder(packed).take_wide(8 * len(packed), 1 << 18)


def test_hostile_words() -> None:
    """No words whatever make the decoder raise anything but a named error (not even one that is no `Exception`), or
    give other symbols than the tables have."""
    rng = np.random.default_rng(0)
    refused = 0
    for number in range(2000):
        words = int(rng.integers(0, 9))
        data = [rng.bytes(4 * words), b"\xff" * 4 * words, bytes(4 * words), b"\xff" * 4 * words + rng.bytes(4)][
            number % 4
        ]
        tables = (ODD, prior().value_tables)[number // 4 % 2]
        sizes = np.array([len(one) for one in tables.frequencies])
        try:
            decoder = TableDecoder(data)
            for count in (1, 40, 5):
                contexts = rng.integers(0, len(tables), count).astype(np.uint8)
                found = decoder.take(contexts, tables)
                assert (found >= 0).all() and (found < sizes[contexts]).all()
                assert all(0 <= value < 1 << 18 for value in decoder.take_wide(3, 1 << 18))
            decoder.check_end()
        except DamagedFileError:
            refused += 1
    assert 200 < refused < 2000
    for length in (1, 2, 3, 5, 4001):
        with pytest.raises(DamagedFileError, match="whole words"):
            TableDecoder(bytes(length))
