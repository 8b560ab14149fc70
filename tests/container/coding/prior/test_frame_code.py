"""Protects: what is found about a latent frame while it is selected is what writing it anew would find."""

from __future__ import annotations

import numpy as np

from latcomp.container.coding.prior.frame_code import FrameCode, code_frame
from latcomp.container.coding.prior.modes import modes_of
from latcomp.latents import TokenMemory
from tests.container.make import prior

ROWS, COLUMNS, UNITS = 5, 6, 4


def same(one: FrameCode, other: FrameCode) -> bool:
    parts = [
        (a, b)
        for left, right in ((one.mask, other.mask), (one.modes, other.modes), (one.values, other.values))
        for a, b in zip(left, right, strict=True)
    ]
    return all(np.array_equal(a.symbols, b.symbols) and np.array_equal(a.contexts, b.contexts) for a, b in parts)


def test_a_token_that_is_rounded_onto_its_prediction_is_coded_as_a_delta() -> None:
    """Rounding by cost can move a token from its own grid to whole steps from its prediction: another mode, and with it
    other contexts for it and its neighbours."""
    rng = np.random.default_rng(3)
    by, count = prior(), ROWS * COLUMNS
    memory = TokenMemory.start((ROWS, COLUMNS), by.channels)
    everywhere, fine = np.ones(count, bool), np.full(count, 2, np.uint8)
    memory.advance(np.arange(count), rng.integers(-9, 10, (count, by.channels)).astype(np.int32), fine)
    plain = memory.kept[:-1] + rng.integers(1, 3, (count, by.channels)).astype(np.int32)  # no whole steps: absolute
    rounded = plain.copy()
    rounded[::2] = memory.kept[:-1][::2] + UNITS
    wanted = modes_of(rounded, fine, memory, np.arange(count), UNITS)
    assert set(wanted.tolist()) == {0, 3}
    assert set(modes_of(plain, fine, memory, np.arange(count), UNITS).tolist()) == {3}
    found, code = code_frame(by, memory, everywhere, plain, fine, 0, UNITS, lambda one: one.steps_of(rounded))
    again, anew = code_frame(by, memory, everywhere, rounded, fine, 0, UNITS)
    assert np.array_equal(found, rounded) and np.array_equal(again, rounded)
    assert same(code, anew)
