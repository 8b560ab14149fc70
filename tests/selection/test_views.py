"""Selection through views that move: each position is decided by what is visible of it, and by nothing else."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.latents import Box, FrameView, GroupView, LosslessQuantiser, Quantiser, StepScale, TokenMemory, hold
from latcomp.latents.profile import CodingProfile
from latcomp.selection import LookaheadHints, Selection, SelectionRecipe, SelectionRule, look_ahead, select_group
from tests.selection.worlds import around, cut, first_shown, laid_out, some_views, visible, walk

C = 5
ONES = np.ones(C, np.float32)
RULE, PREVIOUS = SelectionRule(ONES), SelectionRule(ONES, "previous")
FINE = Quantiser(ONES, 0.01)
UNITS = Quantiser(ONES, 0.5, hysteresis=0.15, units=4)
LENGTHS = [1, 4, 2, 3]
seeds = st.integers(0, 999)


def select(
    groups: list[np.ndarray],
    views: list[GroupView],
    rule: SelectionRule = RULE,
    quantiser: Quantiser | LosslessQuantiser = FINE,
    hints: list[LookaheadHints] | None = None,
    threshold: float = 0.3,
) -> list[Selection]:
    """The selections of a segment."""
    cache, found = None, []
    for number, (latents, view) in enumerate(zip(groups, views, strict=True)):
        hint = None if hints is None else hints[number]
        one, cache = select_group(latents, cache, threshold, rule, quantiser, hint, view=view)
        found.append(one)
    return found


def hints_of(latents: np.ndarray, view: GroupView | None, refine: bool = False) -> LookaheadHints:
    ahead = look_ahead(latents, UNITS, 1.0, view)
    return LookaheadHints(ahead.target, ahead.halvings(UNITS, 8.0), ahead.whole[0] if refine else None, ahead.run)


def assert_same(left: Selection, right: Selection) -> None:
    for name in {field.name for field in fields(Selection)} - {"view", "coded"}:
        assert np.array_equal(getattr(left, name), getattr(right, name)), name


@pytest.mark.parametrize("rule", [RULE, PREVIOUS], ids=["kept", "previous"])
@pytest.mark.parametrize("quantiser", [FINE, UNITS, LosslessQuantiser()], ids=["fine", "units", "lossless"])
def test_a_view_that_shows_all_of_its_window_changes_nothing(
    rule: SelectionRule, quantiser: Quantiser | LosslessQuantiser
) -> None:
    """Wherever in the world it stands, and also when each latent frame's view is an object of its own."""
    latents = walk(0, [GroupView.whole(10, (3, 4))], C)
    groups = [latents[:, :4], latents[:, 4:5], latents[:, 5:]]
    box = Box(-7, 11, 3, 4)
    views = [GroupView((FrameView.of((box,)),) * group.shape[1], box) for group in groups]
    apart = [GroupView(tuple(FrameView(box, np.ones((3, 4), bool)) for _ in view.frames), box) for view in views]
    cache, plain = None, []
    for group in groups:
        one, cache = select_group(group, cache, 0.3, rule, quantiser)
        plain.append(one)
    for shown in (views, apart):
        for one, other in zip(select(groups, shown, rule, quantiser), plain, strict=True):
            assert_same(one, other)


OFF_LATTICE = st.integers(1, 40).map(lambda number: number * np.pi / 80)
"""Thresholds that no sum of whole steps equals: sums over one position and over many are rounded differently."""


@given(seeds, st.sampled_from([(FINE, False), (UNITS, False), (UNITS, True)]))
@settings(max_examples=30, deadline=None)
def test_of_a_still_world_each_position_is_kept_once(seed: int, way: tuple[Quantiser, bool]) -> None:
    """When it is shown first, though the view moves on, leaves it and comes back; with a lookahead or without."""
    quantiser, ahead = way
    views = some_views(seed, LENGTHS)
    box = around(views)
    still = np.random.default_rng(seed).normal(0, 3, (C, 1, *box.shape)).repeat(sum(LENGTHS), 1).astype(np.float32)
    groups = cut(still, views)
    hints = [hints_of(latents, view) for latents, view in zip(groups, views, strict=True)] if ahead else None
    found = select(groups, views, RULE, quantiser, hints, threshold=0.0)
    assert np.array_equal(laid_out([one.mask for one in found], views), first_shown(views))
    for one in found:
        assert np.array_equal(one.difference, np.where(one.mask, np.inf, np.where(one.view.visible, 0, -np.inf)))


@given(seeds, st.sampled_from([FINE, UNITS, LosslessQuantiser()]), OFF_LATTICE)
@settings(max_examples=30, deadline=None)
def test_each_position_is_selected_as_its_visible_latents_alone_would_be(
    seed: int, quantiser: Quantiser | LosslessQuantiser, threshold: float
) -> None:
    """As a segment of one position, of the latent frames in which it is visible: out of sight nothing happens to it."""
    views = some_views(seed, LENGTHS)
    world, shown = walk(seed, views, C), visible(views)
    found = select(cut(world, views), views, RULE, quantiser, threshold=threshold)
    mask, difference, halvings = (
        laid_out([getattr(one, name) for one in found], views) for name in ("mask", "difference", "halvings")
    )
    symbols, held, age = (laid_out([getattr(one, name) for one in found], views) for name in ("symbols", "held", "age"))
    for y, x in np.argwhere(shown.any(0)):
        times = np.flatnonzero(shown[:, y, x])
        alone, _ = select_group(world[:, times, y : y + 1, x : x + 1], None, threshold, RULE, quantiser)
        assert mask[times, y, x].tolist() == alone.mask[:, 0, 0].tolist()
        assert symbols[:, times, y, x].tolist() == alone.symbols[..., 0, 0].tolist()
        assert halvings[times, y, x].tolist() == alone.halvings[:, 0, 0].tolist()
        assert held[:, times, y, x].tolist() == alone.held[..., 0, 0].tolist()
        assert np.allclose(difference[times, y, x], alone.difference[:, 0, 0], atol=1e-5)
        kept = [max(time for time in times[: n + 1] if mask[time, y, x]) for n in range(len(times))]
        assert age[times, y, x].tolist() == (times - kept).tolist()
    assert not mask[~shown].any()


@given(seeds, st.floats(0.05, 1.0))
@settings(max_examples=30, deadline=None)
def test_the_previous_latent_frame_counts_where_it_showed_the_position_and_else_the_last_kept_value(
    seed: int, threshold: float
) -> None:
    views = some_views(seed, LENGTHS, reach=2)
    shown, first = visible(views), first_shown(views)
    found = select(cut(walk(seed, views, C), views), views, PREVIOUS, threshold=threshold)
    mask = laid_out([one.mask for one in found], views)
    difference = laid_out([one.difference for one in found], views, -np.inf)
    assert all(np.isneginf(one.difference[~one.view.visible]).all() for one in found)
    values = FINE.dequantise(laid_out([one.symbols for one in found], views))
    last = values[:, 0]
    returns = 0
    for t in range(len(shown)):
        before = shown[t - 1] if t else np.zeros_like(shown[0])
        reference = np.where(before, values[:, t - 1], last)
        wanted = np.abs(values[:, t] - reference).mean(0)
        old = shown[t] & ~first[t]
        assert np.allclose(difference[t, old], wanted[old], atol=1e-5)
        assert np.isposinf(difference[t, first[t]]).all()
        assert np.array_equal(mask[t], shown[t] & (difference[t] > threshold))
        returns += int((old & ~before).sum())
        last = np.where(mask[t], values[:, t], last)
    assert returns or seed  # some paths never come back


def test_the_previous_reference_outlives_a_latent_frame_that_shows_nothing() -> None:
    """As the part of a segment at some places may."""
    box = Box(0, 0, 1, 2)
    frames = [FrameView(box, np.array([row], bool)) for row in ([1, 1], [0, 0], [1, 1], [0, 1])]
    latents = np.ones((C, 4, 1, 2), np.float32) * np.array([0, 9, 1, 1], np.float32)[:, None, None]
    for sizes in ([4], [1, 1, 1, 1], [2, 2]):
        views = [GroupView(tuple(part), box) for part in np.split(np.array(frames, object), np.cumsum(sizes)[:-1])]
        groups = np.split(latents, np.cumsum(sizes)[:-1], axis=1)
        mask = np.concatenate([one.mask for one in select(groups, views, PREVIOUS, threshold=0.5)])
        assert mask[:, 0].tolist() == [[True, True], [False, False], [True, True], [False, False]]


@given(seeds, st.sampled_from([RULE, PREVIOUS]), st.sampled_from([FINE, UNITS, LosslessQuantiser()]))
@settings(max_examples=30, deadline=None)
def test_what_is_not_visible_has_no_influence(
    seed: int, rule: SelectionRule, quantiser: Quantiser | LosslessQuantiser
) -> None:
    views = some_views(seed, LENGTHS)
    world = walk(seed, views, C)
    results = []
    for beside in (np.nan, 0.0, 1e6):
        groups = cut(world, views, beside)
        hints = None
        if quantiser is UNITS:
            hints = [
                hints_of(latents, view, n > 0) for n, (latents, view) in enumerate(zip(groups, views, strict=True))
            ]
        results.append(select(groups, views, rule, quantiser, hints))
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            assert_same(one, other)
    assert all(np.isfinite(one.held).all() for one in results[0])


@given(seeds, st.lists(st.integers(1, 4), min_size=1, max_size=5), st.sampled_from([RULE, PREVIOUS]))
@settings(max_examples=30, deadline=None)
def test_it_does_not_depend_on_how_latent_frames_are_grouped(seed: int, sizes: list[int], rule: SelectionRule) -> None:
    """Nor on the windows that groups have by that."""
    parts = some_views(seed, sizes)
    whole = [GroupView.over(tuple(frame for view in parts for frame in view.frames))]
    world = walk(seed, parts, C)
    (one,), others = select(cut(world, whole), whole, rule), select(cut(world, parts), parts, rule)
    for name in ("mask", "difference", "symbols", "halvings", "age", "held"):
        left, right = laid_out([getattr(one, name)], whole), laid_out([getattr(other, name) for other in others], parts)
        assert np.allclose(left, right, atol=1e-6) if name == "difference" else np.array_equal(left, right), name


@given(seeds, st.sampled_from([FINE, UNITS]), st.booleans())
@settings(max_examples=30, deadline=None)
def test_what_is_held_is_what_a_reader_makes_of_the_kept_tokens(seed: int, quantiser: Quantiser, ahead: bool) -> None:
    """All over the window, also where nothing is visible."""
    views = some_views(seed, LENGTHS)
    groups = cut(walk(seed, views, C), views)
    hints = [hints_of(latents, view, n > 0) for n, (latents, view) in enumerate(zip(groups, views, strict=True))]
    memory = TokenMemory.start(views[0].frames[0], C, np.float32)
    for one in select(groups, views, RULE, quantiser, hints if ahead and quantiser is UNITS else None):
        tokens = quantiser.dequantise(one.symbols.transpose(1, 2, 3, 0)[one.mask].T).T
        read = hold(memory, tokens, one.mask, one.halvings[one.mask], one.view)
        for name in ("held", "mask", "age", "halvings"):
            assert np.array_equal(getattr(read, name), getattr(one.held_group, name)), name


def test_after_a_jump_far_away_all_is_kept_and_nothing_forgotten() -> None:
    """In the middle of a group, on the smallest grid: nothing of what was seen is in sight, and then it is again."""
    here, away = FrameView.of((Box(0, 0, 1, 1),)), FrameView.of((Box(-30, 50, 1, 1),))
    view = GroupView.over((here, away, here, away))
    latents = np.full((C, *view.shape), np.nan, np.float32)
    for t, value in enumerate((1, 5, 1, 5)):
        view.put(latents, t, np.full((C, 1), value, np.float32))
    for rule in (RULE, PREVIOUS):
        (found,) = select([latents], [view], rule)
        assert [view.take(found.mask, t).tolist() for t in range(4)] == [[True], [True], [False], [False]]
        assert [int(view.take(found.age, t)[0]) for t in range(4)] == [0, 0, 2, 2]


def test_a_position_that_is_shown_first_is_kept_whatever_the_mask_says() -> None:
    views = some_views(4, [5])
    latents = cut(walk(4, views, C), views)[0]
    found, _ = select_group(latents, None, 0.3, RULE, FINE, forced=np.zeros(views[0].shape, bool), view=views[0])
    assert np.array_equal(laid_out([found.mask], views), first_shown(views))


def test_a_recipe_selects_through_views_as_its_parts_do() -> None:
    of = SelectionRecipe.of(C * (0.5,), C * (1.0,), CodingProfile(lookahead_lambda=3.0), 4)
    scale, views = StepScale(1.0), some_views(1, LENGTHS)
    selector, under, cache = of.segment(scale), of.segment(scale), None
    for latents, view in zip(cut(walk(1, views, C), views), views, strict=True):
        hints = of.hints(latents, scale, cache is not None, view)
        wanted, cache = select_group(
            latents, cache, of.threshold(scale), of.rule, of.quantiser(scale), hints, view=view
        )
        assert_same(selector.next(latents, view), wanted)
        assert np.array_equal(under.under(latents, wanted.mask, hints, view=view).mask, wanted.mask)
