"""Selection: the closed-loop bound, budgets met exactly, independence from grouping, drift of the previous
reference.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.errors import UsageError
from latcomp.latents import SYMBOL_MAX, SYMBOL_MIN, GroupView, Quantiser, TokenMemory, hold
from latcomp.selection import SelectionRule, select_budget, select_group
from latcomp.selection.budget import tokens_for

C = 6
RULE = SelectionRule(np.ones(C, np.float32))
FINE = Quantiser(np.ones(C, np.float32), 0.01)


def walk(seed: int, frames: int = 16, height: int = 5, width: int = 7) -> np.ndarray:
    """Latents that change at some positions and rest at others."""
    rng = np.random.default_rng(seed)
    moving = rng.random((1, 1, height, width)) < 0.5
    steps = rng.normal(0, 0.4, (C, frames, height, width)) * np.where(moving, 1.0, 0.02)
    return np.cumsum(steps, axis=1).astype(np.float32)


def in_groups(latents: np.ndarray, sizes: list[int], threshold: float) -> np.ndarray:
    masks, cache, start = [], None, 0
    for size in sizes:
        found, cache = select_group(latents[:, start : start + size], cache, threshold, RULE, FINE)
        masks.append(found.mask)
        start += size
    return np.concatenate(masks)


@given(st.integers(0, 50), st.floats(0.05, 1.5))
@settings(max_examples=30, deadline=None)
def test_no_dropped_position_is_further_from_its_held_value_than_the_threshold(seed: int, threshold: float) -> None:
    latents = walk(seed)
    found, _ = select_group(latents, None, threshold, RULE, FINE)
    distance = np.abs(FINE.dequantise(found.symbols) - found.held).mean(0)
    assert (distance[~found.mask] <= threshold + 1e-5).all()
    # against the latents themselves the bound is wider by what rounding can move them
    assert (np.abs(latents - found.held).mean(0)[~found.mask] <= threshold + FINE.step_scale / 2 + 1e-5).all()


@given(st.integers(0, 50), st.lists(st.integers(1, 7), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_the_mask_does_not_depend_on_how_latent_frames_are_grouped(seed: int, sizes: list[int]) -> None:
    latents = walk(seed, sum(sizes))
    assert np.array_equal(in_groups(latents, sizes, 0.3), in_groups(latents, [sum(sizes)], 0.3))


@given(st.integers(0, 50), st.floats(0.07, 1.0))
@settings(max_examples=30, deadline=None)
def test_a_budget_is_met_to_the_token(seed: int, keep: float) -> None:
    latents = walk(seed)
    groups = [latents[:, :8], latents[:, 8:]]
    found, _ = select_budget(groups, keep, RULE, FINE)
    assert sum(int(s.mask.sum()) for s in found) == tokens_for(keep, [GroupView.whole(8, (5, 7))] * 2)
    assert found[0].mask[0].all()


def test_held_values_follow_a_mask_that_the_budget_changed() -> None:
    latents = walk(1)
    found, _ = select_budget([latents], 0.4, RULE, FINE)
    values = FINE.dequantise(found[0].symbols)
    last = values[:, 0]
    for t in range(latents.shape[1]):
        last = np.where(found[0].mask[t], values[:, t], last)
        assert np.array_equal(found[0].held[:, t], last)


def test_a_key_group_keeps_its_whole_first_latent_frame() -> None:
    found, _ = select_group(walk(2), None, 100.0, RULE, FINE)
    assert found.mask[0].all()
    assert not found.mask[1:].any()


@given(st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_noise_below_the_quantiser_never_keeps_a_token(seed: int) -> None:
    rng = np.random.default_rng(seed)
    coarse = Quantiser(np.ones(C, np.float32), 1.0)
    still = rng.integers(-3, 4, (C, 1, 4, 4)).repeat(8, 1) + rng.uniform(-0.45, 0.45, (C, 8, 4, 4))
    found, _ = select_group(still.astype(np.float32), None, 0.0, RULE, coarse)
    assert not found.mask[1:].any()


def test_a_slow_fade_drifts_under_the_previous_reference_and_not_under_the_kept_one() -> None:
    fade = np.broadcast_to(np.linspace(0, 3, 31, dtype=np.float32)[None, :, None, None], (C, 31, 2, 2)).copy()
    previous = SelectionRule(np.ones(C, np.float32), "previous")
    by_kept, _ = select_group(fade, None, 0.25, RULE, FINE)
    by_previous, _ = select_group(fade, None, 0.25, previous, FINE)
    assert np.abs(fade - by_previous.held).max() > 2.5
    assert np.abs(fade - by_kept.held).max() <= 0.26


def test_a_shrinking_threshold_never_keeps_fewer_tokens_of_the_first_change() -> None:
    latents = walk(3)
    masks = [select_group(latents, None, threshold, RULE, FINE)[0].mask for threshold in (0.8, 0.4, 0.2, 0.1)]
    for coarse, fine in zip(masks, masks[1:], strict=False):
        assert fine.sum() >= coarse.sum()
        assert (fine[1] | ~coarse[1]).all()


@pytest.mark.parametrize("keep", [0.0, -1.0, 1.01, float("nan"), float("inf")])
def test_budgets_out_of_range_are_refused(keep: float) -> None:
    with pytest.raises(UsageError):
        select_budget([walk(0)], keep, RULE, FINE)


def test_hysteresis_lets_symbols_rest_and_bounds_the_error() -> None:
    rng = np.random.default_rng(0)
    toggling = (2.5 + rng.uniform(-0.15, 0.15, (C, 20, 3, 3))).astype(np.float32)
    kept_counts = []
    for hysteresis in (0.0, 0.2):
        quantiser = Quantiser(np.ones(C, np.float32), 1.0, hysteresis=hysteresis)
        found, _ = select_group(toggling, None, 0.0, RULE, quantiser)
        kept_counts.append(int(found.mask[1:].sum()))
        assert np.abs(quantiser.dequantise(found.symbols) - toggling).max() <= 0.5 + hysteresis + 1e-5
    assert kept_counts[1] == 0 < kept_counts[0]


@given(st.integers(0, 50), st.sampled_from([1, 4]), st.sampled_from([0.01, 1.0, 3.75]), st.floats(-0.5, 1.5))
@settings(max_examples=60, deadline=None)
def test_latents_of_any_size_give_symbols_that_a_file_can_hold(
    seed: int, units: int, scale: float, spread: float
) -> None:
    """A latent beyond the bound is stored as near to it as whole steps come, and is not held where it was; what is held
    is what a reader makes of the kept tokens."""
    rng = np.random.default_rng(seed)
    quantiser = Quantiser(np.ones(C, np.float32), scale, hysteresis=0.15, units=units)
    sizes = np.array([0, 1, 0.5, 0.99, 1.01, 3, 1e6], np.float32)[rng.integers(0, 7, (C, 5, 3, 4))] * np.float32(spread)
    latents = sizes * np.float32(scale * 2**15 / units) * rng.choice(np.array([-1, 1], np.float32), sizes.shape)
    found, cache = select_group(latents, None, 0.0, RULE, quantiser)
    again, _ = select_group(latents[:, ::-1], cache, 0.0, RULE, quantiser)
    for selection, wanted in ((found, latents), (again, latents[:, ::-1])):
        assert selection.symbols.min() >= SYMBOL_MIN and selection.symbols.max() <= SYMBOL_MAX
        reachable = np.clip(
            wanted, quantiser.width(4) * (SYMBOL_MIN + units), quantiser.width(4) * (SYMBOL_MAX - units)
        )
        assert np.abs(quantiser.dequantise(selection.symbols) - reachable).max() <= scale * 2 + 1e-3
    memory = TokenMemory.start((3, 4), C, np.float32)
    for selection in (found, again):
        tokens = quantiser.dequantise(selection.symbols.transpose(1, 2, 3, 0)[selection.mask].T).T
        assert np.array_equal(hold(memory, tokens, selection.mask).held, selection.held)
