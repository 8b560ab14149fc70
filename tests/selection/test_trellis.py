"""Tokens kept by price: the plan is the cheapest there is, pays for what lasts, and keeps what is shown for the first
time."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.latents import Quantiser, TokenMemory
from latcomp.selection import plan_tokens
from latcomp.selection.trellis import BEHIND, ROUNDING_ERROR
from tests.selection.worlds import some_views

C, T = 5, 5
QUANTISER = Quantiser(np.full(C, 0.5, np.float32), 2.0, units=4)  # a step is 1


def cost(values: np.ndarray, held: np.ndarray | None, kept: tuple[int, ...], price: float) -> float:
    """What keeping one position's values (T, C) at these latent frames costs; held: (C,) before them, None for none."""
    weights = np.ones(len(values))
    weights[-1] += BEHIND
    starts = [*kept, len(values)]
    total = len(kept) * price
    if starts[0] > 0:
        if held is None:
            return np.inf
        total += (weights[: starts[0]] * np.square(values[: starts[0]] - held).sum(1)).sum()
    for first, end in pairwise(starts):
        run, times = values[first:end], weights[first:end]
        mean = (times[:, None] * run).sum(0) / times.sum()
        total += (times * (np.square(run - mean).sum(1) + ROUNDING_ERROR)).sum()
    return float(total)


def memory_of(symbols: np.ndarray) -> TokenMemory:
    """A memory that holds these symbols (h, w, C)."""
    memory = TokenMemory.start(symbols.shape[:2], symbols.shape[2])
    count = symbols.shape[0] * symbols.shape[1]
    memory.advance(np.arange(count), symbols.reshape(count, -1))
    return memory


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), price=st.floats(0.1, 30), known=st.booleans())
def test_no_other_choice_of_tokens_costs_less(seed: int, price: float, known: bool) -> None:
    """Against all 32 choices of each position."""
    rng = np.random.default_rng(seed)
    latents = np.cumsum(rng.normal(0, rng.uniform(0.2, 2), (C, T, 2, 3)), axis=1).astype(np.float32)
    symbols = rng.integers(-8, 9, (2, 3, C), dtype=np.int32)
    plan = plan_tokens(latents, memory_of(symbols) if known else None, QUANTISER, price)
    choices = [kept for count in range(T + 1) for kept in combinations(range(T), count)]
    for y, x in np.ndindex(2, 3):
        values, held = latents[:, :, y, x].T.astype(float), symbols[y, x] / 4 if known else None
        found = cost(values, held, tuple(np.flatnonzero(plan.mask[:, y, x])), price)
        least = min(cost(values, held, kept, price) for kept in choices)
        assert found == pytest.approx(least, rel=1e-4, abs=1e-3)


def test_a_token_is_the_mean_of_what_it_stands_for() -> None:
    latents = np.zeros((C, T, 1, 1), np.float32)
    latents[:, 2:, 0, 0] = [10, 10.2, 10.1]
    plan = plan_tokens(latents, memory_of(np.zeros((1, 1, C), np.int32)), QUANTISER, 4.0)
    assert plan.mask[:, 0, 0].tolist() == [False, False, True, False, False]
    weights = np.array([1, 1, 1 + BEHIND])
    assert plan.ahead.target[0, 2, 0, 0] == pytest.approx((weights * [10, 10.2, 10.1]).sum() / weights.sum())
    assert plan.ahead.run[2, 0, 0] == 2 and plan.ahead.whole[2, 0, 0]


def test_a_small_change_is_worth_a_token_where_it_lasts() -> None:
    held = memory_of(np.zeros((1, 1, C), np.int32))
    lasting, passing = np.zeros((2, C, T, 1, 1), np.float32)
    lasting[:, 1:] = passing[:, 1] = 0.8
    assert plan_tokens(lasting, held, QUANTISER, 6.0).mask[:, 0, 0].tolist() == [False, True, False, False, False]
    assert not plan_tokens(passing, held, QUANTISER, 6.0).mask.any()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_higher_price_never_keeps_more(seed: int) -> None:
    latents = np.cumsum(np.random.default_rng(seed).normal(0, 1, (C, T, 4, 4)), axis=1).astype(np.float32)
    counts = [plan_tokens(latents, None, QUANTISER, price).mask.sum() for price in (0.5, 2, 8, 32)]
    assert counts == sorted(counts, reverse=True)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_is_not_shown_is_not_kept_and_what_is_new_is(seed: int) -> None:
    view = some_views(seed, [T])[0]
    noise = np.random.default_rng(seed).normal(0, 2, (C, *view.shape)).astype(np.float32)
    latents = np.where(view.visible, noise, np.float32(np.nan))
    plan = plan_tokens(latents, None, QUANTISER, 3.0, view)
    assert not plan.mask[~view.visible].any()
    first = view.visible & (np.cumsum(view.visible, axis=0) == 1)
    assert plan.mask[first].all()


def test_values_far_from_zero_are_told_apart_as_well() -> None:
    """Errors come from products, which would drown small changes of large values."""
    rng = np.random.default_rng(3)
    latents = rng.normal(0, 1, (C, T, 3, 3)).astype(np.float32)
    near = plan_tokens(latents, None, QUANTISER, 3.0).mask
    assert np.array_equal(plan_tokens(latents + np.float32(2000), None, QUANTISER, 3.0).mask, near)


def test_latents_of_any_size_have_a_plan() -> None:
    latents = np.full((C, T, 1, 2), 1e30, np.float32)
    latents[:, 2:] *= -1
    assert plan_tokens(latents, None, QUANTISER, 3.0).mask[:, 0, 0].tolist() == [True, False, True, False, False]
