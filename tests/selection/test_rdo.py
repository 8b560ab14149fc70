"""Rounding by rate and distortion: what it gives can be written, costs fewer bytes, and stays close."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from latcomp.container.coding import FrameCosts, GroupContent, GroupShape, PriorCoder
from latcomp.latents import SYMBOL_MAX, SYMBOL_MIN, GroupView, StepScale, TokenMemory
from latcomp.selection import KeptTokens
from latcomp.selection.rdo import RateDistortion
from tests.container.make import prior

UNITS = 4
GRID = ROWS, COLUMNS = 6, 7
POSITIONS, CHANNELS = ROWS * COLUMNS, prior().channels
SCALE = StepScale(1.0)


@dataclass
class Rounding:
    """A segment on its way: what is remembered of it, and all that was rounded."""

    weight: float | None
    """The lambda; None rounds plainly."""
    memory: TokenMemory = field(default_factory=lambda: TokenMemory.start(GRID, CHANNELS))
    masks: list[np.ndarray] = field(default_factory=list)
    tokens: list[np.ndarray] = field(default_factory=list)
    halvings: list[np.ndarray] = field(default_factory=list)
    coded: list[object] = field(default_factory=list)
    costs: FrameCosts = field(default_factory=lambda: FrameCosts(prior(), UNITS, SCALE))

    def take(self, mask: np.ndarray, plain: np.ndarray, halvings: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """(n, C) symbols of the next latent frame's kept tokens, and on to the one behind it."""
        values = plain
        if self.weight is not None:
            by = RateDistortion(self.costs, UNITS, self.weight)
            frames = np.ones(len(plain), np.float32)
            values, code = by.round(self.memory, KeptTokens(mask, plain, halvings, wanted, frames))
            self.coded.append(code)
        self.memory.advance(np.flatnonzero(mask), values, halvings)
        self.masks.append(mask)
        self.tokens.append(values)
        self.halvings.append(halvings)
        return values

    def content(self) -> GroupContent:
        """All of it as one group."""
        mask = np.stack(self.masks).reshape(-1, ROWS, COLUMNS)
        tokens, halvings, view = (
            np.concatenate(self.tokens),
            np.concatenate(self.halvings),
            GroupView.whole(len(mask), GRID),
        )
        return GroupContent(mask, tokens, halvings, True, SCALE, view, tuple(self.coded) or None)

    def size(self) -> int:
        """Bytes of the tokens, which can be read again."""
        group = self.content()
        data = PriorCoder(prior(), GRID, UNITS).encode(group)
        shape = GroupShape(group.view, len(group.tokens), True, SCALE)
        assert np.array_equal(PriorCoder(prior(), GRID, UNITS).decode(data, shape).tokens, group.tokens)
        return len(data.tokens)


def frames(seed: int, count: int = 4) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(mask (P,), exact values in units (n, C), halvings (n,)) of some latent frames that all stand on their own
    grids.
    """
    rng = np.random.default_rng(seed)
    found = []
    for t in range(count):
        mask = np.ones(POSITIONS, bool) if t == 0 else rng.random(POSITIONS) < 0.6
        halvings = rng.integers(0, 3, int(mask.sum())).astype(np.uint8)
        found.append((mask, rng.laplace(0, 5, (int(mask.sum()), CHANNELS)).astype(np.float32), halvings))
    return found


def rounded(seed: int, weight: float | None) -> tuple[int, float, np.ndarray]:
    """(bytes, mean squared error in units, tokens) under a lambda; None rounds plainly."""
    rounding, errors = Rounding(weight), []
    for mask, exact, halvings in frames(seed):
        step = (UNITS >> halvings.astype(int))[:, None]
        plain = (np.rint(exact / step) * step).astype(np.int32)
        values = rounding.take(mask, plain, halvings, exact)
        assert (np.abs(values - plain) <= UNITS).all()  # deltas move by whole steps, whatever their halvings
        errors.append(np.square(values - exact).mean())
    return rounding.size(), float(np.mean(errors)), rounding.content().tokens


@pytest.mark.parametrize("seed", range(4))
def test_the_less_an_error_weighs_the_fewer_bytes_and_the_larger_the_error(seed: int) -> None:
    sizes, errors, _ = zip(*(rounded(seed, weight) for weight in (None, 20.0, 2.0)), strict=True)
    assert sizes[0] >= sizes[1] > sizes[2]
    assert errors[0] <= errors[1] < errors[2]


def test_an_error_of_infinite_weight_rounds_plainly() -> None:
    assert np.array_equal(rounded(0, None)[2], rounded(0, 1e9)[2])


@pytest.mark.parametrize("seed", range(4))
def test_no_value_is_moved_beyond_what_a_symbol_can_be(seed: int) -> None:
    """Values at both ends, where the prior expects what lies a step further: they are rounded, written and read."""
    rng = np.random.default_rng(seed)
    rounding = Rounding(1e-9)  # an error costs nothing: all that can move does
    for t in range(6):
        mask = np.ones(POSITIONS, bool) if t == 0 else rng.random(POSITIONS) < 0.7
        halvings = rng.integers(0, 3, POSITIONS).astype(np.uint8)
        step = (UNITS >> halvings.astype(int))[:, None]
        kept = rounding.memory.kept[:-1]
        plain = rng.choice(np.array([SYMBOL_MIN, SYMBOL_MAX // UNITS * UNITS, SYMBOL_MAX]), kept.shape) // step * step
        if t % 2:  # deltas by whole steps, to either end
            halvings = rounding.memory.halvings
            plain = kept + np.where(plain > 0, (SYMBOL_MAX - kept) // UNITS, -((kept - SYMBOL_MIN) // UNITS)) * UNITS
        ends = np.where(plain > 0, 40_000, -40_000).astype(np.float32)
        values = rounding.take(mask, plain[mask].astype(np.int32), halvings[mask], ends[mask])
        assert values.min() >= SYMBOL_MIN and values.max() <= SYMBOL_MAX
    assert rounding.size() > 0


def test_a_token_that_stands_for_longer_is_rounded_closer() -> None:
    """An error counts once for each latent frame it will be seen in."""
    mask, exact, halvings = frames(0)[0]
    step = (UNITS >> halvings.astype(int))[:, None]
    plain = (np.rint(exact / step) * step).astype(np.int32)
    by = RateDistortion(FrameCosts(prior(), UNITS, SCALE), UNITS, 2.0)
    moved = []
    for count in (1, 4, 1000):
        tokens = KeptTokens(mask, plain, halvings, exact, np.full(len(plain), count, np.float32))
        moved.append(int((by.round(TokenMemory.start(GRID, CHANNELS), tokens)[0] != plain).sum()))
    assert moved[0] > moved[1] > moved[2]
