"""A token budget for a segment, met exactly: the threshold is found by replaying the selection on the latents alone.

Every position is decided by itself, so the search runs on a sample of the positions, and what is changed at the end is
replayed only where it was changed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from latcomp.errors import UsageError
from latcomp.selection.hints import LookaheadHints
from latcomp.selection.threshold import QuantiserLike, Selection, SelectionCache, SelectionRule, select_group

REPLAYS = 8  # most replays of a search; two or three are usual
SLACK = 0.05  # share of the budget by which a search may miss it: single tokens are kept or dropped to make up for it
SAMPLE_SLACK = 0.02  # the same for the search on the sample
SAMPLE = 8  # one position in this many is in the sample
SAMPLE_LEAST = 256  # positions a sample has at least
STRIDE = 4.0  # a step of the search divides or multiplies the threshold by no more


def tokens_for(keep: float, groups: list[np.ndarray]) -> int:
    """Tokens a segment may keep: the share `keep` of all, but never less than its first latent frame, which is always
    kept.

    Raises `UsageError` unless 0 < keep <= 1.
    """
    if not (math.isfinite(keep) and 0 < keep <= 1):
        raise UsageError(f"keep {keep} is out of range: choose a share above 0 and up to 1")
    total: int = sum(g.shape[1] * g.shape[2] * g.shape[3] for g in groups)
    first: int = groups[0].shape[2] * groups[0].shape[3]
    return max(first, round(keep * total))


def select_budget(
    groups: list[np.ndarray],
    keep: float,
    rule: SelectionRule,
    quantiser: QuantiserLike,
    hints: list[LookaheadHints] | None = None,
) -> tuple[list[Selection], float]:
    """Selections of a segment that keep exactly the budgeted number of tokens, and the threshold they came from.

    groups: the segment's latents, each (C, T, h, w), the first one a key group; hints: of each, whose `refine` is not
    looked at. Where no threshold keeps just the budget, the tokens of the smallest difference are taken back, or those
    of the largest added."""
    budget = tokens_for(keep, groups)
    segment = _Segment(groups, rule, quantiser, hints)
    if budget == sum(g.shape[1] * g.shape[2] * g.shape[3] for g in groups):
        return segment.replay(-1.0)[0], 0.0  # below every difference
    positions = groups[0].shape[2] * groups[0].shape[3]
    threshold = float(np.abs(np.diff(groups[0], axis=1)).mean()) if groups[0].shape[1] > 1 else 0.0
    if positions >= 2 * SAMPLE_LEAST:
        places = np.arange(0, positions, min(SAMPLE, positions // SAMPLE_LEAST))
        threshold = _search(
            segment.at(places), round(budget * len(places) / positions), threshold, SAMPLE_SLACK
        ).threshold
    found = _search(segment, budget, threshold, SLACK)
    return _made_exact(segment, found.selections, budget - found.tokens), found.threshold


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
        rule: SelectionRule,
        quantiser: QuantiserLike,
        hints: list[LookaheadHints] | None,
    ) -> None:
        self.groups, self.rule, self.quantiser = groups, rule, quantiser
        self.hints = None if hints is None else [replace(hint, refine=None) for hint in hints]

    def replay(self, threshold: float, masks: list[np.ndarray] | None = None) -> tuple[list[Selection], int]:
        """The selections at a threshold, or under given masks, and how many tokens they keep."""
        cache: SelectionCache | None = None
        found = []
        for index, latents in enumerate(self.groups):
            hint = None if self.hints is None else self.hints[index]
            forced = None if masks is None else masks[index]
            selection, cache = select_group(latents, cache, threshold, self.rule, self.quantiser, hint, forced)
            found.append(selection)
        return found, sum(int(s.mask.sum()) for s in found)

    def at(self, places: np.ndarray) -> _Segment:
        """The same at some positions (n,) alone, as a grid of one row."""
        hints = None
        if self.hints is not None:
            hints = [
                LookaheadHints(
                    _some(hint.target, places),
                    _some(hint.halvings, places),
                    None,
                    None if hint.run is None else _some(hint.run, places),
                )
                for hint in self.hints
            ]
        return _Segment([_some(group, places) for group in self.groups], self.rule, self.quantiser, hints)


def _some(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(..., 1, n) of values (..., h, w) at places (n,)."""
    return np.ascontiguousarray(values.reshape(*values.shape[:-2], 1, -1)[..., places])


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
    """The threshold above which the selections' differences would keep `tokens` tokens, fewer than there are; a key's
    are infinite.
    """
    differences = np.concatenate([s.difference.ravel() for s in selections])
    place = len(differences) - tokens
    return float(np.partition(differences, place - 1)[place - 1])


def _made_exact(segment: _Segment, selections: list[Selection], missing: int) -> list[Selection]:
    """The selections with `missing` more tokens, those of the largest difference, or without -`missing` of the
    smallest.
    """
    if not missing:
        return selections
    masks = np.concatenate([s.mask.ravel() for s in selections])
    differences = np.concatenate([s.difference.ravel() for s in selections])
    free = masks & np.isfinite(differences) if missing < 0 else ~masks
    order = np.argsort(np.where(free, differences if missing < 0 else -differences, np.inf), kind="stable")
    changed = np.zeros_like(masks)
    changed[order[: abs(missing)]] = True
    grid = selections[0].mask.shape[1:]
    by_frame = changed.reshape(-1, grid[0] * grid[1])
    places = np.flatnonzero(by_frame.any(0))
    lengths = [len(s.mask) for s in selections]
    forced = np.split((masks ^ changed).reshape(by_frame.shape)[:, None, places], np.cumsum(lengths)[:-1])
    again, _ = segment.at(places).replay(0.0, forced)
    return [_with(whole, part, places) for whole, part in zip(selections, again, strict=True)]


def _with(whole: Selection, part: Selection, places: np.ndarray) -> Selection:
    """A selection with some positions' part of it replaced."""

    def put(values: np.ndarray, new: np.ndarray) -> np.ndarray:
        flat = values.reshape(*values.shape[:-2], -1).copy()
        flat[..., places] = new[..., 0, :]
        return flat.reshape(values.shape)

    return Selection(
        put(whole.mask, part.mask),
        put(whole.difference, part.difference),
        put(whole.symbols, part.symbols),
        put(whole.halvings, part.halvings),
        put(whole.age, part.age),
        put(whole.held, part.held),
    )
