"""Rounding by rate and distortion: what it gives can be written, costs fewer bytes, and stays close."""

import numpy as np
import pytest
from latcomp.container.rounding import PriorRounding, code_lengths

from latcomp.container import SYMBOL_MAX, SYMBOL_MIN
from latcomp.container.coding.prior.frame_coder import PriorState, decode_prior, encode_prior
from tests.container.make import prior

UNITS = 4
ROWS, COLUMNS = 6, 7


def frames(seed: int, count: int = 4) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(mask (P,), exact values in units (n, C), octaves (n,)) of some latent frames that all stand on their own
    grids.
    """
    rng = np.random.default_rng(seed)
    found = []
    for t in range(count):
        mask = np.ones(ROWS * COLUMNS, bool) if t == 0 else rng.random(ROWS * COLUMNS) < 0.6
        octaves = rng.integers(0, 3, int(mask.sum())).astype(np.uint8)
        found.append((mask, rng.laplace(0, 5, (int(mask.sum()), prior().channels)).astype(np.float32), octaves))
    return found


def code(seed: int, worth: float | None) -> tuple[int, float, np.ndarray]:
    """(bytes, mean squared error in units, tokens) under a worth; None rounds plainly."""
    rounding = PriorRounding(prior(), ROWS, COLUMNS, UNITS, worth or 0.0, 0)
    tokens, masks, errors, finer = [], [], [], []
    for mask, exact, octaves in frames(seed):
        step = (UNITS >> octaves.astype(int))[:, None]
        plain = (np.rint(exact / step) * step).astype(np.int32)
        values = (
            plain if worth is None else rounding.rounded(mask, plain, octaves, exact, np.ones(len(plain), np.float32))
        )
        assert (np.abs(values - plain) <= UNITS).all()  # tokens that go on move by whole steps, whatever their octaves
        tokens.append(values)
        masks.append(mask)
        finer.append(octaves)
        errors.append(np.square(values - exact).mean())
    found, octaves = np.concatenate(tokens), np.concatenate(finer)
    data = encode_prior(
        found, octaves, np.stack(masks), PriorState.start(ROWS, COLUMNS, prior().channels), prior(), 0, UNITS
    )
    again, _ = decode_prior(data, np.stack(masks), PriorState.start(ROWS, COLUMNS, prior().channels), prior(), 0, UNITS)
    assert np.array_equal(again, found)
    return len(data), float(np.mean(errors)), found


@pytest.mark.parametrize("seed", range(4))
def test_the_less_an_error_is_worth_the_fewer_bytes_and_the_larger_the_error(seed: int) -> None:
    sizes, errors, _ = zip(*(code(seed, worth) for worth in (None, 20.0, 2.0)), strict=True)
    assert sizes[0] >= sizes[1] > sizes[2]
    assert errors[0] <= errors[1] < errors[2]


def test_an_error_of_infinite_worth_rounds_plainly() -> None:
    assert np.array_equal(code(0, None)[2], code(0, 1e9)[2])


def test_code_lengths_are_those_of_the_tables() -> None:
    lengths = code_lengths(prior())
    for row, table in zip(lengths, prior().value_tables.frequencies, strict=True):
        assert np.exp2(-row[: len(table) - 1].astype(float)).sum() == pytest.approx(1 - table[-1] / 2**24, abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_no_value_is_moved_beyond_what_a_symbol_can_be(seed: int) -> None:
    """Values at both ends, where the prior expects what lies a step further: they are rounded, written and read."""
    rng = np.random.default_rng(seed)
    rounding = PriorRounding(prior(), ROWS, COLUMNS, UNITS, 1e-9, 0)  # an error costs nothing: all that can move does
    masks, tokens, finer, count = [], [], [], ROWS * COLUMNS
    kept, held = np.zeros((count, prior().channels), np.int32), np.zeros(count, np.uint8)
    for t in range(6):
        mask = np.ones(count, bool) if t == 0 else rng.random(count) < 0.7
        octaves = rng.integers(0, 3, count).astype(np.uint8)
        step = (UNITS >> octaves.astype(int))[:, None]
        plain = rng.choice(np.array([SYMBOL_MIN, SYMBOL_MAX // UNITS * UNITS, SYMBOL_MAX]), kept.shape) // step * step
        if t % 2:  # goes on from the last kept values, by whole steps, to either end
            octaves, plain = (
                held,
                kept + np.where(plain > 0, (SYMBOL_MAX - kept) // UNITS, -((kept - SYMBOL_MIN) // UNITS)) * UNITS,
            )
        ends = np.where(plain > 0, 40_000, -40_000).astype(np.float32)
        values = rounding.rounded(
            mask, plain[mask].astype(np.int32), octaves[mask], ends[mask], np.ones(mask.sum(), np.float32)
        )
        assert values.min() >= SYMBOL_MIN and values.max() <= SYMBOL_MAX
        kept[mask], held = values, np.where(mask, octaves, held)
        masks.append(mask)
        tokens.append(values)
        finer.append(octaves[mask])
    found, octaves, start = np.concatenate(tokens), np.concatenate(finer), (ROWS, COLUMNS, prior().channels)
    data = encode_prior(found, octaves, np.stack(masks), PriorState.start(*start), prior(), 0, UNITS)
    assert np.array_equal(decode_prior(data, np.stack(masks), PriorState.start(*start), prior(), 0, UNITS)[0], found)
