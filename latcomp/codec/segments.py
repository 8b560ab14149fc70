"""Latents of a segment to the groups of a file: selection, rounding by cost and fill, at steps that are given."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from latcomp.codec.groups import EncodedGroup
from latcomp.codec.settings import EncodeSettings
from latcomp.container import Group
from latcomp.container.prior import Prior
from latcomp.container.rounding import PriorRounding
from latcomp.container.steps import log_step_of
from latcomp.devices import decodes_in_bf16, memory_errors
from latcomp.inpaint.fill import Filler, HeldGroup, ages_of
from latcomp.inpaint.model import Lit
from latcomp.selection import (
    Quantiser,
    Selection,
    SelectionCache,
    SelectionRule,
    Wishes,
    adjusted,
    look_ahead,
    select_budget,
    select_group,
    step_adjust,
)
from latcomp.selection.quantiser import Identity
from latcomp.selection.recipe import DROPPED_CHANGES, HYSTERESIS, PRIOR_UNITS, ROUNDING
from latcomp.stages import stage
from latcomp.tokenizer.base import TokenizerSpec


class SegmentCoder:
    """What one encoding makes of latents, segment after segment. Nothing of a segment depends on the one before."""

    def __init__(
        self, settings: EncodeSettings, spec: TokenizerSpec, prior: Prior | None, lit: Lit | None, device: torch.device
    ) -> None:
        self.settings, self.prior, self.device = settings, prior, device
        self.units = PRIOR_UNITS if prior else 1
        self.step = np.array(spec.channel_step, np.float32)
        self.rule = SelectionRule(np.array(spec.channel_scale, np.float32), settings.reference)
        self.filler = Filler(lit, settings.step_scale, device, decodes_in_bf16(device))
        self._age: np.ndarray | None = None  # of the last latent frame that was finished

    def quantiser(self, adjust: int = 0) -> Quantiser | Identity:
        """The quantiser of a segment whose steps are adjusted by so many 32nds of an octave."""
        if self.settings.lossless:
            return Identity()
        return Quantiser(self.step, adjusted(self.settings.step_scale, adjust), ROUNDING, HYSTERESIS, self.units)

    def adjustment(self, first: EncodedGroup) -> int:
        """The adjustment by content of the segment that begins with this group."""
        with stage("selection"):
            return (
                0 if self.settings.lossless else step_adjust(first.latents, self.step, self.settings.quality_in_force)
            )

    def begin(self, grid: tuple[int, ...], adjust: int) -> SegmentSelection:
        """The selection of a segment by the threshold, group after group."""
        return SegmentSelection(self, grid, adjust)

    def selected(self, segment: list[EncodedGroup], adjust: int) -> list[Selection]:
        """The selections of a whole segment: by the token budget where there is one, else by the threshold."""
        selection = self.begin(segment[0].latents.shape[2:], adjust)
        if self.settings.keep is None:
            return [selection.next(group.latents) for group in segment]
        latents = [group.latents for group in segment]
        wishes = [self.wishes(group, adjust, refine=False) for group in latents]
        there = [wish for wish in wishes if wish is not None]
        with stage("selection"):
            chosen, threshold = select_budget(
                latents, self.settings.keep, self.rule, self.quantiser(adjust), there or None
            )
        if selection.rounding is None:
            return chosen
        # the masks stand; only values move
        return [
            selection.under(values, threshold, wish, plain.mask)
            for values, wish, plain in zip(latents, wishes, chosen, strict=True)
        ]

    def wishes(self, latents: np.ndarray, adjust: int, refine: bool) -> Wishes | None:
        """What a lookahead over a group asks for: better values and finer steps of what will be held.

        refine: whether values that are held through the whole group become finer in it.
        """
        quantiser = self.quantiser(adjust)
        if not isinstance(quantiser, Quantiser) or self.units == 1:
            return None
        worth = self.settings.error_worth
        if worth == 0:
            return None
        with stage("selection"):
            ahead = look_ahead(latents, quantiser, DROPPED_CHANGES)
            return Wishes(ahead.target, ahead.octaves(quantiser, worth), ahead.whole[0] if refine else None, ahead.run)

    def rounding(self, grid: tuple[int, ...], adjust: int) -> PriorRounding | None:
        """The rounding of a segment's tokens by what they cost; None without a prior."""
        worth = self.settings.rounding_worth
        if self.prior is None or worth == 0:
            return None
        log_step = log_step_of(self.settings.step_scale) + (adjust >> 1)
        return PriorRounding(self.prior, grid[0], grid[1], self.units, worth, log_step)

    def groups(
        self, segment: Iterable[EncodedGroup], chosen: Iterable[Selection], adjust: int, fill: bool = True
    ) -> list[Group]:
        """The groups of a segment as they are written."""
        return [self.group(item, selection, adjust, fill) for item, selection in zip(segment, chosen, strict=True)]

    def group(self, item: EncodedGroup, selection: Selection, adjust: int, fill: bool = True) -> Group:
        """A group as it is written: kept tokens in order t, y, x, and the fill that comes closest to the latents.

        fill: False leaves that choice at hold, for a count of bytes.
        """
        with stage("lit"):
            by = self._fill(item, selection, adjust) if fill else "hold"
        with stage("selection"):
            tokens = np.ascontiguousarray(selection.symbols.transpose(1, 2, 3, 0)[selection.mask])
            octaves = selection.octaves[selection.mask] if self.prior else None
        return Group(item.index, item.key, item.first_frame, item.pts, selection.mask, tokens, by, adjust, octaves)

    def _fill(self, item: EncodedGroup, selection: Selection, adjust: int) -> str:
        if item.key:
            self.filler.reset()
        self.filler.step_scale = adjusted(self.settings.step_scale, adjust)
        ages = ages_of(selection.mask, None if item.key else self._age)
        self._age = ages[-1]
        held = HeldGroup(selection.held, selection.mask, ages, selection.octaves)
        with memory_errors(self.device):
            return self.filler.fill_best(held, item.latents)[0]


class SegmentSelection:
    """The selection of one segment's groups in order."""

    def __init__(self, coder: SegmentCoder, grid: tuple[int, ...], adjust: int) -> None:
        self.coder, self.adjust = coder, adjust
        self.rounding = coder.rounding(grid, adjust)
        self._threshold = coder.settings.threshold_at(adjust, len(coder.step))
        self._cache: SelectionCache | None = None

    def next(self, latents: np.ndarray) -> Selection:
        """The selection of the next group's latents (C, T, h, w) by the threshold."""
        wishes = self.coder.wishes(latents, self.adjust, refine=self._cache is not None)
        return self.under(latents, self._threshold, wishes, None)

    def under(self, latents: np.ndarray, threshold: float, wishes: Wishes | None, mask: np.ndarray | None) -> Selection:
        """The same by another threshold, or under a mask (T, h, w) that was decided before."""
        with stage("selection"):
            found, self._cache = select_group(
                latents,
                self._cache,
                threshold,
                self.coder.rule,
                self.coder.quantiser(self.adjust),
                wishes,
                mask,
                self.rounding,
            )
        return found
