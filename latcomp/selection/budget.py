"""A token budget for a segment, met exactly: the threshold is found by replaying the selection on the latents alone.

Every position is decided by itself, so the search runs on a sample of the positions, and what is changed at the end is
replayed only where it was changed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from latcomp.errors import UsageError
from latcomp.latents import Box, FrameView, GroupView
from latcomp.selection.hints import LookaheadHints
from latcomp.selection.threshold import QuantiserLike, Selection, SelectionCache, SelectionRule, select_group

REPLAYS = 8  # most replays of a search; two or three are usual
SLACK = 0.05  # share of the budget by which a search may miss it: single tokens are kept or dropped to make up for it
SAMPLE_SLACK = 0.02  # the same for the search on the sample
SAMPLE = 8  # one position in this many is in the sample
SAMPLE_LEAST = 256  # positions a sample has at least
STRIDE = 4.0  # a step of the search divides or multiplies the threshold by no more


def tokens_for(keep: float, views: list[GroupView]) -> int:
    """Tokens a segment may keep: the share `keep` of what its groups show, but never less than what they show for the
    first time, which is always kept.

    Raises `UsageError` unless 0 < keep <= 1.
    """
    if not (math.isfinite(keep) and 0 < keep <= 1):
        raise UsageError(f"keep {keep} is out of range: choose a share above 0 and up to 1")
    return max(positions_shown(views), round(keep * sum(view.count for view in views)))


def positions_shown(views: list[GroupView]) -> int:
    """How many positions of the world some groups show."""
    return len(_World(views).places)


class _World:
    """All positions that a segment shows, put in a row."""

    def __init__(self, views: list[GroupView]) -> None:
        self.views = views
        self.box = Box.around(view.window for view in views)
        shown = np.zeros(self.box.shape, bool)
        for view in views:
            shown[view.window.inside(self.box)] |= view.visible.any(0)
        self.places = np.flatnonzero(shown)
        """intp (n,): where in the box they are, y * columns + x."""

    def some(self, places: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each group where in its window the places (n,) are, (n,) intp, and which of them are there, (n,) bool."""
        y, x = np.divmod(places, self.box.columns)
        found = []
        for view in self.views:
            window = view.window
            down, right = y - (window.top - self.box.top), x - (window.left - self.box.left)
            inside = (down >= 0) & (down < window.rows) & (right >= 0) & (right < window.columns)
            found.append((np.where(inside, down * window.columns + right, 0), inside))
        return found


def select_budget(
    groups: list[np.ndarray],
    keep: float,
    rule: SelectionRule,
    quantiser: QuantiserLike,
    hints: list[LookaheadHints] | None = None,
    views: list[GroupView] | None = None,
) -> tuple[list[Selection], float]:
    """Selections of a segment that keep exactly the budgeted number of tokens, and the threshold they came from.

    groups: the segment's latents, each (C, T, h, w), the first one a key group; hints: of each, whose `refine` is not
    looked at; views: of each, what it shows, None for a segment without camera motion. Where no threshold keeps just
    the budget, the tokens of the smallest difference are taken back, or those of the largest added."""
    views = [GroupView.whole(g.shape[1], g.shape[2:]) for g in groups] if views is None else views
    budget = tokens_for(keep, views)
    segment = _Segment(groups, views, rule, quantiser, hints)
    if budget == sum(view.count for view in views):
        return segment.replay(-1.0)[0], 0.0  # below every difference
    positions = views[0].frames[0].count
    threshold = _usual_change(groups[0], views[0])
    if positions >= 2 * SAMPLE_LEAST:
        places = _World(views).places
        sample = segment.at(places[:: min(SAMPLE, positions // SAMPLE_LEAST)])
        threshold = _search(sample, _share_of(budget, segment.views, sample.views), threshold, SAMPLE_SLACK).threshold
    found = _search(segment, budget, threshold, SLACK)
    return _made_exact(segment, found.selections, budget - found.tokens), found.threshold


def _share_of(budget: int, views: list[GroupView], sample: list[GroupView]) -> int:
    """The tokens of a segment's sample: all that it shows for the first time, and of the rest the same share."""
    count, new = sum(view.count for view in views), positions_shown(views)
    some, some_new = sum(view.count for view in sample), positions_shown(sample)
    return round((some_new * (count - new) + (some - some_new) * (budget - new)) / (count - new))


def _usual_change(latents: np.ndarray, view: GroupView) -> float:
    """Mean absolute change of a group's latents from one latent frame to the next, where a search may begin."""
    if len(view.frames) == 1:
        return 0.0
    change = np.abs(np.diff(latents, axis=1))
    if view.full:
        return float(change.mean())
    both = view.visible[1:] & view.visible[:-1]
    return float(change[:, both].mean()) if both.any() else 0.0


@dataclass(frozen=True)
class _Replay:
    """One replay: its threshold, the selections of the groups, and the tokens they keep."""

    threshold: float
    selections: list[Selection]
    tokens: int


class _Segment:
    """A segment's groups, or some positions of them, to be selected again and again."""

    def __init__(
        self,
        groups: list[np.ndarray],
        views: list[GroupView],
        rule: SelectionRule,
        quantiser: QuantiserLike,
        hints: list[LookaheadHints] | None,
    ) -> None:
        self.groups, self.views, self.rule, self.quantiser = groups, views, rule, quantiser
        self.hints = None if hints is None else [replace(hint, refine=None) for hint in hints]

    def replay(self, threshold: float, masks: list[np.ndarray] | None = None) -> tuple[list[Selection], int]:
        """The selections at a threshold, or under given masks, and how many tokens they keep."""
        cache: SelectionCache | None = None
        found = []
        for index, latents in enumerate(self.groups):
            hint = None if self.hints is None else self.hints[index]
            forced = None if masks is None else masks[index]
            selection, cache = select_group(
                latents, cache, threshold, self.rule, self.quantiser, hint, forced, view=self.views[index]
            )
            found.append(selection)
        return found, sum(int(s.mask.sum()) for s in found)

    def at(self, places: np.ndarray) -> _Segment:
        """The same at some places (n,) of its world alone, as a grid of one row."""
        groups, views, hints = [], [], []
        for number, (window, inside) in enumerate(_World(self.views).some(places)):
            groups.append(_some(self.groups[number], window))
            views.append(_row_of(self.views[number], window, inside))
            if self.hints is not None:
                hint = self.hints[number]
                run = None if hint.run is None else _some(hint.run, window)
                hints.append(LookaheadHints(_some(hint.target, window), _some(hint.halvings, window), None, run))
        return _Segment(groups, views, self.rule, self.quantiser, hints or None)


def _some(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(..., 1, n) of values (..., h, w) at places (n,)."""
    return np.ascontiguousarray(values.reshape(*values.shape[:-2], 1, -1)[..., places])


def _row_of(view: GroupView, window: np.ndarray, inside: np.ndarray) -> GroupView:
    """What a group shows of places (n,) of its window, as a grid of one row. inside: (n,) which of them are there."""
    if view.full and inside.all():
        return GroupView.whole(len(view.frames), (1, len(window)))
    box = Box(0, 0, 1, len(window))
    return GroupView(tuple(FrameView(box, row) for row in _some(view.visible, window) & inside), box)


def _search(segment: _Segment, budget: int, threshold: float, slack: float) -> _Replay:
    """The replay that comes closest to the budget, from `threshold` on until one is within `slack` of it, a share.

    The first step follows the replay's own differences; they creep, since a lower threshold also means closer
    references, so later steps follow the line through the last two replays."""
    best = last = _replayed(segment, threshold)
    more = fewer = before = None  # the closest replays on both sides of the budget, and the one before the last
    for _ in range(REPLAYS - 1):
        if abs(best.tokens - budget) <= slack * budget:
            break
        if last.tokens > budget:
            more = last
        elif last.threshold > 0:
            fewer = last
        else:
            break  # threshold 0 keeps all that changes
        if (
            more is not None
            and fewer is not None
            and not _any_between(last.selections, more.threshold, fewer.threshold)
        ):
            break
        following = _following(last, before, more, fewer, budget)
        if following == last.threshold:
            break
        before, last = last, _replayed(segment, following)
        best = min(best, last, key=lambda replay: abs(replay.tokens - budget))
    return best


def _replayed(segment: _Segment, threshold: float) -> _Replay:
    return _Replay(threshold, *segment.replay(threshold))


def _following(
    last: _Replay, before: _Replay | None, more: _Replay | None, fewer: _Replay | None, budget: int
) -> float:
    """The threshold to try next, between those of `more` and `fewer` where both are known."""
    if more is not None and fewer is not None:
        share = (more.tokens - budget) / max(1, more.tokens - fewer.tokens)
        return more.threshold + min(max(share, 0.1), 0.9) * (fewer.threshold - more.threshold)
    guess = _threshold_for(last.selections, budget)
    if before is not None and before.tokens != last.tokens:
        slope = (last.threshold - before.threshold) / (last.tokens - before.tokens)
        along = last.threshold + slope * (budget - last.tokens)
        guess = min(guess, along) if last.tokens < budget else max(guess, along)
    guess = min(max(guess, last.threshold / STRIDE), last.threshold * STRIDE or guess)
    smallest = min((float(s.difference[s.difference > 0].min(initial=np.inf)) for s in last.selections), default=np.inf)
    return 0.0 if guess < smallest else guess


def _any_between(selections: list[Selection], low: float, high: float) -> bool:
    """Whether some difference lies between two thresholds: differences come in whole quantiser steps over the channels,
    up to rounding.
    """
    margin = 1e-4 * high
    return any(bool(((s.difference > low + margin) & (s.difference < high - margin)).any()) for s in selections)


def _threshold_for(selections: list[Selection], tokens: int) -> float:
    """The threshold above which the selections' differences would keep `tokens` tokens, one fewer than there are at
    most; those of what is shown for the first time are infinite.
    """
    differences = np.concatenate([s.difference[s.view.visible] for s in selections])
    place = max(1, len(differences) - tokens)
    return float(np.partition(differences, place - 1)[place - 1])


def _made_exact(segment: _Segment, selections: list[Selection], missing: int) -> list[Selection]:
    """The selections with `missing` more tokens, those of the largest difference, or without -`missing` of the
    smallest.
    """
    if not missing:
        return selections
    masks = np.concatenate([s.mask.ravel() for s in selections])
    differences = np.concatenate([s.difference.ravel() for s in selections])
    free = masks & np.isfinite(differences) if missing < 0 else ~masks & (differences > -np.inf)
    order = np.argsort(np.where(free, differences if missing < 0 else -differences, np.inf), kind="stable")
    changed = np.zeros_like(masks)
    changed[order[: abs(missing)]] = True
    world = _World(segment.views)
    touched = np.zeros(world.box.shape, bool)
    forced, row = [], 0
    for selection in selections:
        part = slice(row, row + selection.mask.size)
        here = changed[part].reshape(selection.mask.shape)
        touched[selection.view.window.inside(world.box)] |= here.any(0)
        forced.append(selection.mask ^ here)
        row = part.stop
    places = np.flatnonzero(touched)
    at = world.some(places)
    some = [_some(mask, window) & inside for mask, (window, inside) in zip(forced, at, strict=True)]
    again, _ = segment.at(places).replay(0.0, some)
    return [_with(*each) for each in zip(selections, again, at, strict=True)]


def _with(whole: Selection, part: Selection, at: tuple[np.ndarray, np.ndarray]) -> Selection:
    """A selection with the part of it at some places replaced. at: (n,) where in its window they are, and which are
    there.
    """
    view, (window, inside) = whole.view, at
    window = window[inside]
    visible = view.visible.reshape(len(view.frames), -1)[:, window]

    def put(values: np.ndarray, new: np.ndarray) -> np.ndarray:
        flat = values.reshape(*values.shape[:-2], -1).copy()
        flat[..., window] = np.where(visible, new[..., 0, inside], flat[..., window])
        return flat.reshape(values.shape)

    def spread(values: np.ndarray) -> np.ndarray:
        for t, here in enumerate(view.frames):
            if not here.full:
                view.part(values, t)[...] = here.spread(view.take(values, t))
        return values

    return Selection(
        put(whole.mask, part.mask),
        put(whole.difference, part.difference),
        put(whole.symbols, part.symbols),
        spread(put(whole.halvings, part.halvings)),
        spread(put(whole.age, part.age)),
        spread(put(whole.held, part.held)),
        view,
    )
