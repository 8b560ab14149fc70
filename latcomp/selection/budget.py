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
    hold_with_mask,
    select_group,
)

BISECTIONS = 12  # differences come in whole quantiser steps over the channels: finer thresholds choose the same tokens


def _replay(
    groups: list[np.ndarray], threshold: float, rule: SelectionRule, quantiser: QuantiserLike
) -> tuple[list[Selection], int]:
    """The selections of a segment's groups at a threshold, and how many tokens they keep."""
    cache: SelectionCache | None = None
    found = []
    for latents in groups:
        selection, cache = select_group(latents, cache, threshold, rule, quantiser)
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
    groups: list[np.ndarray], keep: float, rule: SelectionRule, quantiser: QuantiserLike
) -> tuple[list[Selection], float]:
    """Selections of a segment that keep exactly the budgeted number of tokens, and the threshold they came from.

    groups: the segment's latents, each (C, T, h, w), the first one a key group. The largest threshold that keeps at least the budget
    is found by bisection; the few tokens above it are taken back where the difference was smallest.
    """
    budget = tokens_for(keep, groups)
    low, high = 0.0, 1.0
    best, count = _replay(groups, -1.0, rule, quantiser)  # below every difference: keeps all
    threshold = 0.0
    if count == budget:
        return best, threshold
    while _replay(groups, high, rule, quantiser)[1] >= budget and high < 1e6:
        high *= 4
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        found, kept = _replay(groups, middle, rule, quantiser)
        if kept >= budget:
            low, best, count, threshold = middle, found, kept, middle
            if kept == budget:
                break
        else:
            high = middle
    return _drop_surplus(best, count - budget, quantiser), threshold


def _drop_surplus(selections: list[Selection], surplus: int, quantiser: QuantiserLike) -> list[Selection]:
    """The same selections with `surplus` kept tokens of the smallest difference dropped."""
    if surplus <= 0:
        return selections
    masks = np.concatenate([s.mask.ravel() for s in selections])
    differences = np.concatenate([s.difference.ravel() for s in selections])
    candidates = np.where(masks & np.isfinite(differences), differences, np.inf)
    masks[np.argsort(candidates, kind="stable")[:surplus]] = False
    result, start, kept = [], 0, None
    for s in selections:
        mask = masks[start : start + s.mask.size].reshape(s.mask.shape)
        start += s.mask.size
        held, kept = hold_with_mask(quantiser.dequantise(s.symbols), mask, kept)
        result.append(Selection(mask, s.difference, s.symbols, held))
    return result
