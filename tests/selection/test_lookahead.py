"""Lookahead and finer steps: what is held long is held well, and selection keeps the promises of its grids."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.latents import Quantiser
from latcomp.selection import LookaheadHints, SelectionRule, look_ahead, select_budget, select_group
from tests.selection.worlds import cut, some_views, walk

C = 8
RULE = SelectionRule(np.ones(C, np.float32))
UNITS = Quantiser(np.ones(C, np.float32), 1.0, hysteresis=0.15, units=4)


def half_still(seed: int, frames: int = 8) -> np.ndarray:
    """Latents whose left half rests under a little noise and whose right half moves."""
    rng = np.random.default_rng(seed)
    still = rng.normal(0, 3, (C, 1, 4, 6)).repeat(frames, 1) + rng.normal(0, 0.05, (C, frames, 4, 6))
    moving = np.cumsum(rng.normal(0, 2, (C, frames, 4, 6)), axis=1)
    return np.where(np.arange(6) < 3, still, moving).astype(np.float32)


def hints_of(latents: np.ndarray, refine: bool = False) -> LookaheadHints:
    ahead = look_ahead(latents, UNITS, 1.0)
    return LookaheadHints(ahead.target, ahead.halvings(UNITS, 8.0), ahead.whole[0] if refine else None)


def test_a_run_counts_the_latent_frames_a_value_stays() -> None:
    latents = np.zeros((C, 6, 1, 1), np.float32)
    latents[:, 3:] = 5
    ahead = look_ahead(latents, UNITS, 1.0)
    assert ahead.run[:, 0, 0].tolist() == [2, 1, 0, 2, 1, 0]
    assert ahead.whole[:, 0, 0].tolist() == [False, False, False, True, True, True]


def test_the_target_is_the_mean_of_what_it_will_stand_for() -> None:
    latents = half_still(0)
    ahead = look_ahead(latents, UNITS, 1.0)
    assert (ahead.run[0, :, :3] == 7).all()
    assert np.allclose(ahead.target[:, 0, :, :3], latents[:, :, :, :3].mean(1), atol=1e-5)


def test_longer_runs_and_dearer_errors_ask_for_finer_steps() -> None:
    ahead = look_ahead(half_still(1), UNITS, 1.0)
    halvings = ahead.halvings(UNITS, 8.0)
    assert (halvings[0, :, :3] > 0).all()
    assert halvings[0, :, 3:].max() == 0
    assert halvings[-1].max() == 0
    assert ahead.halvings(UNITS, 0.0).max() == 0
    assert ahead.halvings(UNITS, 1.0).sum() <= halvings.sum()


def test_flat_content_needs_no_finer_steps() -> None:
    """Where rounding loses nothing there is nothing to gain, however long a value is held."""
    assert look_ahead(np.full((C, 8, 3, 3), 2.0, np.float32), UNITS, 1.0).halvings(UNITS, 8.0).max() == 0


def test_finer_steps_bring_held_values_closer() -> None:
    latents = half_still(2)
    coarse, _ = select_group(latents, None, 0.1, RULE, UNITS)
    fine, _ = select_group(latents, None, 0.1, RULE, UNITS, hints_of(latents))
    error = [np.abs(found.held - latents)[..., :3].mean() for found in (coarse, fine)]
    assert error[1] < 0.6 * error[0]
    assert not fine.mask[1:, :, :3].any()


@given(st.integers(0, 60), st.floats(0, 0.6))
@settings(max_examples=40, deadline=None)
def test_every_kept_token_is_on_one_of_the_two_grids(seed: int, threshold: float) -> None:
    """Whole steps from the last kept value at the same halvings, or whole multiples of its own step: what the coder can
    write.
    """
    latents = half_still(seed, 12)
    cache, kept, held = None, None, None
    for part in (latents[:, :8], latents[:, 8:]):
        found, cache = select_group(part, cache, threshold, RULE, UNITS, hints_of(part, refine=cache is not None))
        for t, mask in enumerate(found.mask):
            values, halvings = found.symbols[:, t], found.halvings[t]
            if kept is not None and held is not None:
                delta = ((values - kept) % 4 == 0).all(0) & (halvings == held)
                own = (values % (4 >> halvings.astype(int)) == 0).all(0)
                assert (delta | own)[mask].all()
                assert np.array_equal(halvings[~mask], held[~mask])
            kept = values.copy() if kept is None else np.where(mask, values, kept)
            held = halvings.copy()


def test_a_still_position_is_refined_once_the_group_shows_that_it_stays() -> None:
    latents = half_still(3, 16)
    first, cache = select_group(latents[:, :8], None, 0.1, RULE, UNITS)
    part = np.ascontiguousarray(latents[:, 8:])
    second, _ = select_group(part, cache, 0.1, RULE, UNITS, hints_of(part, refine=True))
    assert second.mask[0, :, :3].all()
    assert (second.halvings[0, :, :3] > 0).all()
    assert not second.mask[1:, :, :3].any()


@given(st.integers(0, 40), st.floats(0.15, 0.9))
@settings(max_examples=20, deadline=None)
def test_a_budget_is_met_to_the_token_with_finer_steps(seed: int, keep: float) -> None:
    groups = [half_still(seed), half_still(seed + 1)]
    found, _ = select_budget(groups, keep, RULE, UNITS, [hints_of(group) for group in groups])
    assert sum(int(s.mask.sum()) for s in found) == max(24, round(keep * 16 * 24))


@given(st.integers(0, 300), st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_run_ends_where_the_position_leaves_sight(seed: int, still: bool) -> None:
    """What is visible without a break is as it would be alone, but only what lasts until the group's end is whole."""
    (view,) = some_views(seed, [6])
    world = walk(seed, [view], C)
    latents = cut(world[:, :1].repeat(6, 1) if still else world, [view])[0]
    ahead = look_ahead(latents, UNITS, 3.0, view)
    for y, x in np.argwhere(view.visible.any(0)):
        steps = np.diff(np.concatenate([[0], view.visible[:, y, x].astype(int), [0]]))
        for start, end in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True):
            alone = look_ahead(latents[:, start:end, y : y + 1, x : x + 1], UNITS, 3.0)
            place = (slice(start, end), y, x)
            assert ahead.run[place].tolist() == alone.run[:, 0, 0].tolist()
            assert np.array_equal(ahead.target[(slice(None), *place)], alone.target[..., 0, 0])
            assert ahead.whole[place].tolist() == (alone.whole[:, 0, 0] & (end == 6)).tolist()
            if still:
                assert ahead.run[place].tolist() == list(range(end - start))[::-1]
    assert not ahead.run[~view.visible].any()
    assert not ahead.halvings(UNITS, 8.0)[~view.visible].any()
