"""The one recipe by which tokens are chosen: what the encoder does, and what training of LIT, prior and decoder sees.

Lookahead over the group, finer steps for what will be held, the threshold on the temporal difference, rounding by rate
and distortion: group after group, with what a segment remembers in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from latcomp.latents import GroupView, LosslessQuantiser, Quantiser, StepScale
from latcomp.latents.profile import CodingProfile
from latcomp.selection.hints import LookaheadHints
from latcomp.selection.lookahead import look_ahead
from latcomp.selection.rdo import RateDistortion, TokenCoder
from latcomp.selection.threshold import Selection, SelectionCache, SelectionRule, select_group
from latcomp.selection.trellis import plan_tokens
from latcomp.stages import stage

PRIOR_UNITS = 4  # units of a step where a prior codes the tokens: steps can be halved twice


@dataclass(frozen=True)
class SelectionRecipe:
    """All that decides what is kept of a tokenizer's latents, a segment's step scale and threshold aside."""

    step: np.ndarray
    """float32 (C,): quantiser steps at step scale 1."""
    rule: SelectionRule
    profile: CodingProfile = field(default_factory=CodingProfile)
    units: int = 1
    """Units of a step: `PRIOR_UNITS` under a prior."""
    lossless: bool = False
    """Whether latents are stored bit for bit."""
    price: float | None = None
    """What a token must save to be kept: see `plan_tokens`; None: a threshold decides."""

    @classmethod
    def of(
        cls,
        step: tuple[float, ...],
        scale: tuple[float, ...],
        profile: CodingProfile,
        units: int,
        reference: str = "kept",
        lossless: bool = False,
    ) -> SelectionRecipe:
        """The recipe of a tokenizer's configuration. step, scale: (C,) quantiser steps at step scale 1, and what
        differences are divided by.
        """
        rule = SelectionRule(np.array(scale, np.float32), reference, profile.absolute_share)
        return cls(np.array(step, np.float32), rule, profile, units, lossless)

    @property
    def channels(self) -> int:
        """Channels of a token."""
        return len(self.step)

    def with_lambdas(self, lookahead: float | None = None, rdo: float | None = None) -> SelectionRecipe:
        """The same under other lambdas; None leaves the profile's."""
        profile = self.profile
        return replace(
            self,
            profile=replace(
                profile,
                lookahead_lambda=profile.lookahead_lambda if lookahead is None else lookahead,
                rdo_lambda=profile.rdo_lambda if rdo is None else rdo,
            ),
        )

    def weighing(self, optimise: str) -> SelectionRecipe:
        """The same with tokens kept by what they save, for the fewest 'bits' or 'tokens'; itself where steps cannot be
        halved, or for a price of 0.
        """
        profile = self.profile
        price = profile.token_price if optimise == "bits" else profile.fewest_tokens_price
        return self if self.lossless or self.units == 1 or not price else replace(self, price=price)

    def quantiser(self, scale: StepScale) -> Quantiser | LosslessQuantiser:
        """The quantiser of a segment."""
        if self.lossless:
            return LosslessQuantiser()
        return Quantiser(self.step, scale.value, self.profile.rounding, self.profile.hysteresis, self.units)

    def threshold(self, scale: StepScale) -> float:
        """The threshold that goes with a step scale; 0 for lossless files, which drop what repeats bit for bit."""
        return 0.0 if self.lossless else self.profile.threshold(scale, self.channels)

    def hints(
        self, latents: np.ndarray, scale: StepScale, refine: bool, view: GroupView | None = None
    ) -> LookaheadHints | None:
        """What a lookahead over a group's latents (C, T, h, w) asks for; None where steps cannot be halved, or for a
        lambda of 0.

        refine: whether values that are held through the whole group become finer in it.
        """
        quantiser, weight = self.quantiser(scale), self.profile.lookahead_lambda
        if not isinstance(quantiser, Quantiser) or self.units == 1 or weight == 0:
            return None
        with stage("selection"):
            ahead = look_ahead(latents, quantiser, self.profile.dropped_changes, view)
            halvings = ahead.halvings(quantiser, weight)
            return LookaheadHints(ahead.target, halvings, ahead.whole[0] if refine else None, ahead.run)

    def segment(
        self, scale: StepScale, threshold: float | None = None, coder: TokenCoder | None = None
    ) -> SegmentSelector:
        """The selection of a segment, from its key group on. threshold: None leaves the choice to the recipe's price,
        where it has one, else to the threshold of the step scale; coder: what tokens are coded by, where they are to be
        rounded by what they cost."""
        wanted = self.threshold(scale) if threshold is None else threshold
        weight = self.profile.rdo_lambda
        rounding = None if coder is None or weight == 0 or self.lossless else RateDistortion(coder, self.units, weight)
        return SegmentSelector(self, scale, wanted, rounding, self.price if threshold is None else None)


class SegmentSelector:
    """Selects the groups of one segment in order."""

    def __init__(
        self,
        recipe: SelectionRecipe,
        scale: StepScale,
        threshold: float,
        rounding: RateDistortion | None,
        price: float | None = None,
    ) -> None:
        """price: of a token, which then decides instead of the threshold."""
        self.recipe, self.scale, self.threshold, self.rounding = recipe, scale, threshold, rounding
        self.price = price
        self._cache: SelectionCache | None = None

    def next(self, latents: np.ndarray, view: GroupView | None = None) -> Selection:
        """The selection of the next group's latents (C, T, h, w) by the price or the threshold. view: what it shows,
        None for a group without camera motion.
        """
        if self.price is not None:
            return self._weighed(latents, view, self.price)
        hints = self.recipe.hints(latents, self.scale, self._cache is not None, view)
        return self._select(latents, view, self.threshold, hints, None)

    def _weighed(self, latents: np.ndarray, view: GroupView | None, price: float) -> Selection:
        """The same by the price: what a kept token says is the mean of what it stands for."""
        quantiser = self.recipe.quantiser(self.scale)
        if not isinstance(quantiser, Quantiser):
            raise ValueError("exact latents have no steps to weigh errors in")
        with stage("selection"):
            memory = None if self._cache is None else self._cache.memory
            plan = plan_tokens(latents, memory, quantiser, price, view)
            ahead = plan.ahead
            halvings = ahead.halvings(quantiser, self.recipe.profile.lookahead_lambda)
            hints = LookaheadHints(ahead.target, halvings, run=ahead.run)
        return self._select(ahead.target, view, self.threshold, hints, plan.mask)

    def under(
        self,
        latents: np.ndarray,
        mask: np.ndarray,
        hints: LookaheadHints | None,
        threshold: float = 0.0,
        view: GroupView | None = None,
    ) -> Selection:
        """The same under a mask (T, h, w) that was decided before."""
        return self._select(latents, view, threshold, hints, mask)

    def _select(
        self,
        latents: np.ndarray,
        view: GroupView | None,
        threshold: float,
        hints: LookaheadHints | None,
        mask: np.ndarray | None,
    ) -> Selection:
        recipe = self.recipe
        quantiser = recipe.quantiser(self.scale)
        with stage("selection"):
            found, self._cache = select_group(
                latents, self._cache, threshold, recipe.rule, quantiser, hints, mask, self.rounding, view
            )
        return found
