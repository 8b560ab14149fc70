"""Token budgets of segments whose view moves: shares of what is visible, met to the token."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.latents import Box, FrameView, GroupView, Quantiser
from latcomp.selection import LookaheadHints, Selection, SelectionRule, look_ahead, select_budget, select_group
from latcomp.selection.budget import positions_shown, tokens_for
from tests.selection.worlds import around, cut, first_shown, laid_out, some_views, visible, walk

C = 4
ONES = np.ones(C, np.float32)
RULE, PREVIOUS = SelectionRule(ONES), SelectionRule(ONES, "previous")
FINE = Quantiser(ONES, 0.01)
UNITS = Quantiser(ONES, 0.5, hysteresis=0.15, units=4)
seeds, shares = st.integers(0, 999), st.floats(0.01, 1.0)
lengths = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def hints_of(groups: list[np.ndarray], views: list[GroupView]) -> list[LookaheadHints]:
    found = []
    for latents, view in zip(groups, views, strict=True):
        ahead = look_ahead(latents, UNITS, 1.0, view)
        found.append(LookaheadHints(ahead.target, ahead.halvings(UNITS, 8.0), None, ahead.run))
    return found


def wide_views(seed: int, side: int = 24) -> list[GroupView]:
    """A pan over a grid that is large enough for the search to begin on a sample, with a look far away in it, in groups
    of 1 to 3 latent frames.
    """
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.integers(-3, 4, (7, 2)), axis=0)
    frames = [FrameView.of((Box(int(y), int(x), side, side), Box(int(y) + 1, int(x), side, side))) for y, x in path]
    frames[3] = FrameView.of((Box(0, 3 * side, side, side),))
    return [GroupView.over(tuple(frames[part])) for part in (slice(0, 1), slice(1, 4), slice(4, 7))]


def assert_met(
    groups: list[np.ndarray],
    views: list[GroupView],
    keep: float,
    rule: SelectionRule,
    quantiser: Quantiser,
    hints: list[LookaheadHints] | None = None,
) -> list[Selection]:
    """The budget is met, what is shown first is in it, and everything is as under the masks that were found."""
    found, _ = select_budget(groups, keep, rule, quantiser, hints, views)
    mask, first = laid_out([one.mask for one in found], views), first_shown(views)
    count = int(visible(views).sum())
    assert sum(int(one.mask.sum()) for one in found) == max(int(first.sum()), round(keep * count))
    assert mask[first].all() and not any((one.mask & ~one.view.visible).any() for one in found)
    cache = None
    for number, (one, latents, view) in enumerate(zip(found, groups, views, strict=True)):
        hint = None if hints is None else hints[number]
        again, cache = select_group(latents, cache, 0.0, rule, quantiser, hint, one.mask, view=view)
        assert one.view is view
        for name in {field.name for field in fields(Selection)} - {"view", "coded", "difference"}:
            assert np.array_equal(getattr(one, name), getattr(again, name)), name
        assert np.allclose(one.difference[view.visible], again.difference[view.visible], atol=1e-5)
        assert np.isneginf(one.difference[~view.visible]).all()
    return found


@given(seeds, lengths, shares, st.sampled_from([RULE, PREVIOUS]))
@settings(max_examples=60, deadline=None)
def test_a_budget_is_met_to_the_token_along_any_path(
    seed: int, sizes: list[int], keep: float, rule: SelectionRule
) -> None:
    views = some_views(seed, sizes)
    assert_met(cut(walk(seed, views, C), views), views, keep, rule, FINE)


@given(seeds, lengths, shares)
@settings(max_examples=30, deadline=None)
def test_a_budget_is_met_to_the_token_with_finer_steps(seed: int, sizes: list[int], keep: float) -> None:
    views = some_views(seed, sizes)
    groups = cut(walk(seed, views, C), views)
    assert_met(groups, views, keep, RULE, UNITS, hints_of(groups, views))


@pytest.mark.parametrize("rule", [RULE, PREVIOUS], ids=["kept", "previous"])
@pytest.mark.parametrize("keep", [0.01, 0.4, 0.7, 0.97, 0.9999])
def test_a_budget_is_met_where_the_search_begins_on_a_sample(keep: float, rule: SelectionRule) -> None:
    """Some of whose latent frames show little or nothing of it."""
    for seed in range(3):
        views = wide_views(seed)
        groups = cut(walk(seed, views, C), views)
        assert_met(groups, views, keep, rule, UNITS, hints_of(groups, views) if seed == 0 else None)


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.99])
def test_a_sample_may_be_out_of_sight_in_some_latent_frames(keep: float) -> None:
    """Every second position of the world is in it, by columns: the first latent frame and a later one show none."""
    second, every, fourth = (FrameView.of((box,)) for box in (Box(0, 1, 600, 1), Box(0, 0, 600, 4), Box(0, 3, 600, 1)))
    views = [GroupView.over((frame,)) for frame in (second, every, fourth, every, second)]
    for rule in (RULE, PREVIOUS):
        assert_met(cut(walk(0, views, C), views), views, keep, rule, FINE)


@given(seeds, st.floats(0.3, 1.0))
@settings(max_examples=20, deadline=None)
def test_what_is_not_visible_has_no_influence(seed: int, keep: float) -> None:
    views = some_views(seed, [2, 3])
    world = walk(seed, views, C)
    (one, threshold), (other, again) = (
        select_budget(cut(world, views, beside), keep, RULE, FINE, views=views) for beside in (np.nan, 9.0)
    )
    assert threshold == again
    for left, right in zip(one, other, strict=True):
        for name in {field.name for field in fields(Selection)} - {"view", "coded"}:
            assert np.array_equal(getattr(left, name), getattr(right, name)), name


@pytest.mark.parametrize("keep", [0.05, 0.3, 0.8, 1.0])
def test_views_that_show_everything_change_nothing(keep: float) -> None:
    """On the grid that is searched on a sample as well."""
    for side in (4, 24):
        box = Box(3, -5, side, side)
        views = [GroupView((FrameView.of((box,)),) * length, box) for length in (3, 1, 2)]
        groups = cut(walk(side, views, C), views)
        (one, threshold), (other, again) = (
            select_budget(groups, keep, RULE, FINE, views=given_views) for given_views in (None, views)
        )
        assert threshold == again
        for left, right in zip(one, other, strict=True):
            for name in {field.name for field in fields(Selection)} - {"view", "coded"}:
                assert np.array_equal(getattr(left, name), getattr(right, name)), name


@given(seeds, lengths)
@settings(max_examples=30, deadline=None)
def test_shares_are_of_what_is_visible_and_what_is_shown_first_is_the_least(seed: int, sizes: list[int]) -> None:
    views = some_views(seed, sizes)
    shown = visible(views)
    assert positions_shown(views) == int(shown.any(0).sum())
    assert tokens_for(1.0, views) == int(shown.sum())
    assert tokens_for(1e-9, views) == positions_shown(views)


def test_a_still_world_meets_its_budget_too() -> None:
    """Nothing changes, so no token is worth more than another."""
    views = some_views(5, [4, 4])
    still = np.random.default_rng(0).normal(0, 3, (C, 1, *around(views).shape)).repeat(8, 1).astype(np.float32)
    assert_met(cut(still, views), views, 0.9, RULE, FINE)


@pytest.mark.parametrize("keep", [0.2, 0.5, 1.0])
def test_the_smallest_segments_have_budgets(keep: float) -> None:
    """One position; one latent frame; a position of each its own."""
    here, away = FrameView.of((Box(0, 0, 1, 1),)), FrameView.of((Box(5, -9, 1, 1),))
    for frames in ([here], [here, here], [here, away], [here, away, here, away], [here, here, away]):
        for views in ([GroupView.over(tuple(frames))], [GroupView.over((frame,)) for frame in frames]):
            assert_met(cut(walk(1, views, C), views), views, keep, RULE, FINE)
