"""A token budget for a segment, met exactly: the threshold is found by replaying the selection on the latents alone."""

from __future__ import annotations

import math

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

BISECTIONS = 12  # differences come in whole quantiser steps over the channels: finer thresholds choose the same tokens


def _replay(
    groups: list[np.ndarray], threshold: float, rule: SelectionRule, quantiser: QuantiserLike, wishes: list[Wishes] | None,
    masks: list[np.ndarray] | None = None,
) -> tuple[list[Selection], int]:  # fmt: skip
    """The selections of a segment's groups at a threshold, or under given masks, and how many tokens they keep."""
    cache: SelectionCache | None = None
    found = []
    for index, latents in enumerate(groups):
        wish, forced = (None if given is None else given[index] for given in (wishes, masks))
        selection, cache = select_group(latents, cache, threshold, rule, quantiser, wish, forced)  # type: ignore[arg-type]
        found.append(selection)
    return found, sum(int(s.mask.sum()) for s in found)


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

    groups: the segment's latents, each (C, T, h, w), the first one a key group. The largest threshold that keeps at least the budget
    is found by bisection; the few tokens above it are taken back where the difference was smallest.
    """
    budget = tokens_for(keep, groups)
    low, high = 0.0, 1.0
    best, count = _replay(groups, -1.0, rule, quantiser, wishes)  # below every difference: keeps all
    threshold = 0.0
    if count == budget:
        return best, threshold
    while _replay(groups, high, rule, quantiser, wishes)[1] >= budget and high < 1e6:
        high *= 4
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        found, kept = _replay(groups, middle, rule, quantiser, wishes)
        if kept >= budget:
            low, best, count, threshold = middle, found, kept, middle
            if kept == budget:
                break
        else:
            high = middle
    if count > budget:
        best, _ = _replay(groups, threshold, rule, quantiser, wishes, _without_surplus(best, count - budget))
    return best, threshold


def _without_surplus(selections: list[Selection], surplus: int) -> list[np.ndarray]:
    """The keep masks of the selections with `surplus` kept tokens of the smallest difference dropped."""
    masks = np.concatenate([s.mask.ravel() for s in selections])
    differences = np.concatenate([s.difference.ravel() for s in selections])
    candidates = np.where(masks & np.isfinite(differences), differences, np.inf)
    masks[np.argsort(candidates, kind="stable")[:surplus]] = False
    ends = np.cumsum([s.mask.size for s in selections])[:-1]
    return [part.reshape(s.mask.shape) for part, s in zip(np.split(masks, ends), selections, strict=True)]
