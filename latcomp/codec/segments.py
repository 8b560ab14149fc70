"""Latents of a segment to the groups of a file: selection, rounding by cost and fill, at steps that are given."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from latcomp.codec.groups import EncodedGroup
from latcomp.codec.settings import EncodeSettings
from latcomp.container import Group
from latcomp.container.coding import AdaptiveCosts, FrameCosts, Prior
from latcomp.devices import decodes_in_bf16, memory_errors
from latcomp.inpaint.fill import Filler
from latcomp.inpaint.model import Lit
from latcomp.latents import StepScale
from latcomp.latents.profile import CodingProfile
from latcomp.selection import PRIOR_UNITS, SegmentSelector, Selection, SelectionRecipe, select_budget, step_adjust
from latcomp.selection.rdo import TokenCoder
from latcomp.stages import stage
from latcomp.tokenizer.base import TokenizerSpec


class SegmentCoder:
    """What one encoding makes of latents, segment after segment. Nothing of a segment depends on the one before."""

    def __init__(
        self,
        settings: EncodeSettings,
        spec: TokenizerSpec,
        profile: CodingProfile,
        prior: Prior | None,
        lit: Lit | None,
        device: torch.device,
    ) -> None:
        self.settings, self.prior, self.device = settings, prior, device
        units = PRIOR_UNITS if prior else 1
        recipe = SelectionRecipe.of(
            spec.channel_step, spec.channel_scale, profile, units, settings.reference, settings.lossless
        )
        recipe = recipe.with_lambdas(settings.lookahead_lambda, settings.rdo_lambda)
        self.recipe = recipe.weighing(settings.optimise) if settings.weighs else recipe
        self.base = StepScale(1.0)
        """The file's step scale; 1 where steps are searched for, each segment's as an adjustment of it."""
        if not (settings.searches or settings.lossless):
            self.base = profile.step_scale(settings.quality_in_force)
            if self.weighs and settings.optimise == "tokens":
                self.base = StepScale(self.base.value * profile.fewest_tokens_scale)
        self.filler = Filler(lit, device, decodes_in_bf16(device), profile)

    @property
    def profile(self) -> CodingProfile:
        """The tokenizer's constants."""
        return self.recipe.profile

    @property
    def weighs(self) -> bool:
        """Whether tokens are kept by what they save, not by a threshold or a budget."""
        return self.recipe.price is not None

    def threshold(self, scale: StepScale) -> float:
        """The threshold of a segment; one that was given stands as it is."""
        given = self.settings.threshold
        return self.recipe.threshold(scale) if given is None else given

    def scale_for(self, first: EncodedGroup) -> StepScale:
        """The step scale of the segment that begins with this group, adjusted by its content."""
        if self.settings.lossless:
            return self.base
        with stage("selection"):
            adjust = step_adjust(
                first.latents, self.recipe.step, self.settings.quality_in_force, self.profile, first.view
            )
        return self.base.adjusted(adjust)

    def begin(self, scale: StepScale) -> SegmentSelector:
        """The selection of a segment by the price or the threshold, group after group."""
        costs: TokenCoder | None = AdaptiveCosts() if self.settings.learns else None
        if self.prior is not None:
            costs = FrameCosts(self.prior, self.recipe.units, scale)
        return self.recipe.segment(scale, None if self.weighs else self.threshold(scale), costs)

    def selected(self, segment: list[EncodedGroup], scale: StepScale) -> list[Selection]:
        """The selections of a whole segment: by the token budget where there is one, else by price or threshold."""
        selector = self.begin(scale)
        if self.settings.keep is None:
            return [selector.next(group.latents, group.view) for group in segment]
        latents, views = [group.latents for group in segment], [group.view for group in segment]
        hints = [self.recipe.hints(group.latents, scale, refine=False, view=group.view) for group in segment]
        given = [hint for hint in hints if hint is not None]
        with stage("selection"):
            chosen, threshold = select_budget(
                latents, self.settings.keep, self.recipe.rule, self.recipe.quantiser(scale), given or None, views
            )
        if selector.rounding is None:
            return chosen
        # the masks stand; only values move
        return [
            selector.under(group.latents, plain.mask, hint, threshold, group.view)
            for group, hint, plain in zip(segment, hints, chosen, strict=True)
        ]

    def groups(
        self, segment: Iterable[EncodedGroup], chosen: Iterable[Selection], scale: StepScale, fill: bool = True
    ) -> list[Group]:
        """The groups of a segment as they are written."""
        return [self.group(item, selection, scale, fill) for item, selection in zip(segment, chosen, strict=True)]

    def group(self, item: EncodedGroup, selection: Selection, scale: StepScale, fill: bool = True) -> Group:
        """A group as it is written: kept tokens in order t, y, x, and the fill that comes closest to the latents.

        fill: False leaves that choice at hold, for a count of bytes.
        """
        by = "hold"
        if fill:
            if item.key:
                self.filler.reset()
            with stage("lit"), memory_errors(self.device):
                by, _ = self.filler.fill_best(selection.held_group, item.latents, scale)
        with stage("selection"):
            tokens = np.ascontiguousarray(selection.symbols.transpose(1, 2, 3, 0)[selection.mask])
            halvings = selection.halvings[selection.mask] if self.prior else None
        return Group(
            item.index,
            item.key,
            item.first_frame,
            item.pts,
            selection.mask,
            tokens,
            by,
            scale.adjust,
            halvings,
            selection.coded if self.settings.coding == "context" else None,
            item.offsets,
            item.view,
        )
