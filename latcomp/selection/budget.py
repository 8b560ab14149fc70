"""A token budget for a segment, met exactly: the threshold is found by replaying the selection on the latents alone.

Every position is decided by itself, so the search runs on a sample of the positions, and what is changed at the end is replayed only
where it was changed.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from latcomp.errors import UsageError
from latcomp.selection.threshold import (
    QuantiserLike,
    Selection,
    SelectionCache,
    SelectionRule,
    Wishes,
    select_group,
)

REPLAYS = 10  # most replays of a search; three or four are usual
SURPLUS = 0.02  # share of the budget above it at which the search ends: what is too much is taken back token by token
SAMPLE = 8  # of so many positions the sample has one
SAMPLE_LEAST = 512  # positions a sample has at least


def tokens_for(keep: float, groups: list[np.ndarray]) -> int:
    """Tokens a segment may keep: the share `keep` of all, but never less than its first latent frame, which is always kept.

    Raises `UsageError` unless 0 < keep <= 1.
    """
    if not (math.isfinite(keep) and 0 < keep <= 1):
        raise UsageError(f"keep {keep} is out of range: choose a share above 0 and up to 1")
    total = sum(g.shape[1] * g.shape[2] * g.shape[3] for g in groups)
    first = groups[0].shape[2] * groups[0].shape[3]
    return max(first, round(keep * total))


def select_budget(
    groups: list[np.ndarray], keep: float, rule: SelectionRule, quantiser: QuantiserLike, wishes: list[Wishes] | None = None
) -> tuple[list[Selection], float]:
    """Selections of a segment that keep exactly the budgeted number of tokens, and the threshold they came from.

    groups: the segment's latents, each (C, T, h, w), the first one a key group; wishes: of each, whose `refine` is not looked at. The
    threshold is searched for from above the budget; the few tokens too many are taken back where the difference was smallest.
    """
    budget = tokens_for(keep, groups)
    segment = _Segment(groups, rule, quantiser, wishes)
    positions = groups[0].shape[2] * groups[0].shape[3]
    start = float(np.abs(np.diff(groups[0], axis=1)).mean()) if groups[0].shape[1] > 1 else 0.0
    if positions >= 2 * SAMPLE_LEAST:
        places = np.arange(0, positions, min(SAMPLE, positions // SAMPLE_LEAST))
        sample = segment.at(places)
        _, _, low = _search(sample, round(budget * (1 + SURPLUS / 2) * len(places) / positions), start)
        start = max(low, 0.0)
    best, count, low = _search(segment, budget, start)
    if count > budget:
        best = _take_back(segment, best, count - budget)
    return best, max(low, 0.0)


class _Segment:
    """A segment's groups, or some positions of them, to be selected again and again."""

    def __init__(
        self, groups: list[np.ndarray], rule: SelectionRule, quantiser: QuantiserLike, wishes: list[Wishes] | None
    ) -> None:
        self.groups, self.rule, self.quantiser = groups, rule, quantiser
        self.wishes = None if wishes is None else [replace(wish, refine=None) for wish in wishes]

    def replay(self, threshold: float, masks: list[np.ndarray] | None = None) -> tuple[list[Selection], int]:
        """The selections at a threshold, or under given masks, and how many tokens they keep."""
        cache: SelectionCache | None = None
        found = []
        for index, latents in enumerate(self.groups):
            wish = None if self.wishes is None else self.wishes[index]
            forced = None if masks is None else masks[index]
            selection, cache = select_group(latents, cache, threshold, self.rule, self.quantiser, wish, forced)
            found.append(selection)
        return found, sum(int(s.mask.sum()) for s in found)

    def at(self, places: np.ndarray) -> _Segment:
        """The same at some positions (n,) alone, as a grid of one row."""
        wishes = None
        if self.wishes is not None:
            wishes = [
                Wishes(
                    _some(wish.target, places), _some(wish.octaves, places), None, None if wish.run is None else _some(wish.run, places)
                )
                for wish in self.wishes
            ]
        return _Segment([_some(group, places) for group in self.groups], self.rule, self.quantiser, wishes)


def _some(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(..., 1, n) of values (..., h, w) at places (n,)."""
    return np.ascontiguousarray(values.reshape(*values.shape[:-2], 1, -1)[..., places])


def _search(segment: _Segment, budget: int, start: float) -> tuple[list[Selection], int, float]:
    """(selections, their tokens, threshold) at the largest threshold found that keeps at least the budget; begins at `start`.

    Each replay's own differences say where the next threshold should lie, since they change little with it.
    """
    low, high = -1.0, math.inf  # -1 is below every difference: keeps all
    best: list[Selection] | None = None
    count, threshold = 0, start
    for _ in range(REPLAYS):
        found, kept = segment.replay(threshold)
        if kept >= budget:
            low, best, count = threshold, found, kept
        else:
            high = threshold
        if budget <= kept <= budget + SURPLUS * budget or (best is not None and not _any_between(best, low, high)):
            break
        following = _threshold_for(found, budget + round(SURPLUS / 2 * budget))
        if not low < following < high:
            following = (max(low, 0.0) + high) / 2 if math.isfinite(high) else 2 * max(low, 1e-6)
        if following == threshold:
            break
        threshold = following
    if best is None:
        low = -1.0
        best, count = segment.replay(low)
    return best, count, low


def _any_between(selections: list[Selection], low: float, high: float) -> bool:
    """Whether some difference lies between two thresholds: differences come in whole quantiser steps over the channels, up to rounding."""
    margin = 1e-4 * high if math.isfinite(high) else 0.0
    return any(bool(((s.difference > low + margin) & (s.difference < high - margin)).any()) for s in selections)


def _threshold_for(selections: list[Selection], tokens: int) -> float:
    """The threshold above which the selections' differences would keep so many tokens; those of key latent frames are infinite."""
    differences = np.concatenate([s.difference.ravel() for s in selections])
    if tokens >= len(differences):
        return -1.0
    place = len(differences) - tokens
    return float(np.partition(differences, place - 1)[place - 1])


def _take_back(segment: _Segment, selections: list[Selection], surplus: int) -> list[Selection]:
    """The selections without `surplus` kept tokens of the smallest difference."""
    masks = np.concatenate([s.mask.ravel() for s in selections])
    differences = np.concatenate([s.difference.ravel() for s in selections])
    candidates = np.where(masks & np.isfinite(differences), differences, np.inf)
    dropped = np.zeros_like(masks)
    dropped[np.argsort(candidates, kind="stable")[:surplus]] = True
    grid = selections[0].mask.shape[1:]
    by_frame = dropped.reshape(-1, grid[0] * grid[1])
    places = np.flatnonzero(by_frame.any(0))
    lengths = [len(s.mask) for s in selections]
    forced = np.split((masks & ~dropped).reshape(by_frame.shape)[:, None, places], np.cumsum(lengths)[:-1])
    again, _ = segment.at(places).replay(0.0, forced)
    return [_with(whole, part, places) for whole, part in zip(selections, again, strict=True)]


def _with(whole: Selection, part: Selection, places: np.ndarray) -> Selection:
    """A selection with some positions' part of it replaced."""

    def put(values: np.ndarray, new: np.ndarray) -> np.ndarray:
        flat = values.reshape(*values.shape[:-2], -1).copy()
        flat[..., places] = new[..., 0, :]
        return flat.reshape(values.shape)

    return Selection(
        put(whole.mask, part.mask), put(whole.difference, part.difference), put(whole.symbols, part.symbols),
        put(whole.octaves, part.octaves), put(whole.held, part.held),
    )  # fmt: skip
